-- What JupyterHub 2.3.1 adds with create_all() when it starts on a database that its revision
-- 833da8570507 has just upgraded, as SQLAlchemy 1.4 writes it, and some rows.
CREATE TABLE roles (
	id INTEGER NOT NULL,
	name VARCHAR(255),
	description VARCHAR(1023),
	scopes TEXT,
	CONSTRAINT pk_roles PRIMARY KEY (id),
	CONSTRAINT uq_roles_name UNIQUE (name)
);
CREATE TABLE api_tokens (
	user_id INTEGER,
	service_id INTEGER,
	id INTEGER NOT NULL,
	hashed VARCHAR(255),
	prefix VARCHAR(16),
	client_id VARCHAR(255),
	session_id VARCHAR(255),
	created DATETIME,
	expires_at DATETIME,
	last_activity DATETIME,
	note VARCHAR(1023),
	CONSTRAINT pk_api_tokens PRIMARY KEY (id),
	CONSTRAINT fk_api_tokens_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	CONSTRAINT fk_api_tokens_service_id_services FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE,
	CONSTRAINT uq_api_tokens_hashed UNIQUE (hashed),
	CONSTRAINT fk_api_tokens_client_id_oauth_clients FOREIGN KEY(client_id) REFERENCES oauth_clients (identifier) ON DELETE CASCADE
);
CREATE INDEX ix_api_tokens_prefix ON api_tokens (prefix);
CREATE TABLE user_role_map (
	user_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_user_role_map PRIMARY KEY (user_id, role_id),
	CONSTRAINT fk_user_role_map_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	CONSTRAINT fk_user_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE group_role_map (
	group_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_group_role_map PRIMARY KEY (group_id, role_id),
	CONSTRAINT fk_group_role_map_group_id_groups FOREIGN KEY(group_id) REFERENCES groups (id) ON DELETE CASCADE,
	CONSTRAINT fk_group_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE service_role_map (
	service_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_service_role_map PRIMARY KEY (service_id, role_id),
	CONSTRAINT fk_service_role_map_service_id_services FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE,
	CONSTRAINT fk_service_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE api_token_role_map (
	api_token_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_api_token_role_map PRIMARY KEY (api_token_id, role_id),
	CONSTRAINT fk_api_token_role_map_api_token_id_api_tokens FOREIGN KEY(api_token_id) REFERENCES api_tokens (id) ON DELETE CASCADE,
	CONSTRAINT fk_api_token_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE oauth_client_role_map (
	oauth_client_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_oauth_client_role_map PRIMARY KEY (oauth_client_id, role_id),
	CONSTRAINT fk_oauth_client_role_map_oauth_client_id_oauth_clients FOREIGN KEY(oauth_client_id) REFERENCES oauth_clients (id) ON DELETE CASCADE,
	CONSTRAINT fk_oauth_client_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE oauth_code_role_map (
	oauth_code_id INTEGER NOT NULL,
	role_id INTEGER NOT NULL,
	CONSTRAINT pk_oauth_code_role_map PRIMARY KEY (oauth_code_id, role_id),
	CONSTRAINT fk_oauth_code_role_map_oauth_code_id_oauth_codes FOREIGN KEY(oauth_code_id) REFERENCES oauth_codes (id) ON DELETE CASCADE,
	CONSTRAINT fk_oauth_code_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
INSERT INTO groups VALUES (2, 'students');
INSERT INTO users (id, name, admin, created, cookie_id) VALUES
  (3, 'cleo', 0, '2022-06-01 00:00:00', 'c3'), (4, 'dan', 1, '2022-06-02 00:00:00', 'c4');
INSERT INTO user_group_map VALUES (3, 2);
INSERT INTO roles VALUES (1, 'user', 'Standard user privileges', '["self"]'),
  (2, 'token', 'Everything its owner may do', '["inherit"]');
INSERT INTO user_role_map VALUES (3, 1), (4, 1);
INSERT INTO oauth_clients VALUES (2, 'service-grades', 'Grades', 'x', '/services/grades/cb');
INSERT INTO oauth_client_role_map VALUES (2, 1);
INSERT INTO services (id, name, admin, oauth_client_id) VALUES (2, 'grades', 0, 'service-grades');
INSERT INTO spawners (id, user_id, name) VALUES (2, 3, '');
INSERT INTO api_tokens (id, user_id, client_id, hashed, prefix, created, note)
  VALUES (1, 3, 'service-grades', 'sha512:1:a:b', 'abcd', '2022-06-03 00:00:00', 'a token');
INSERT INTO api_token_role_map VALUES (1, 2);
