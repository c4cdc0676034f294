-- What JupyterHub 1.5.1 creates: jupyterhub.orm.new_session_factory("sqlite:///…"), SQLAlchemy 1.4,
-- as sqlite3's iterdump() prints it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('4dc2d5a8c53c');
CREATE TABLE api_tokens (
	user_id INTEGER,
	service_id INTEGER,
	id INTEGER NOT NULL,
	hashed VARCHAR(255),
	prefix VARCHAR(16),
	created DATETIME,
	expires_at DATETIME,
	last_activity DATETIME,
	note VARCHAR(1023),
	PRIMARY KEY (id),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE,
	UNIQUE (hashed)
);
CREATE TABLE groups (
	id INTEGER NOT NULL,
	name VARCHAR(255),
	PRIMARY KEY (id),
	UNIQUE (name)
);
CREATE TABLE oauth_access_tokens (
	id INTEGER NOT NULL,
	client_id VARCHAR(255),
	grant_type VARCHAR(18) NOT NULL,
	expires_at INTEGER,
	refresh_token VARCHAR(255),
	refresh_expires_at INTEGER,
	user_id INTEGER,
	session_id VARCHAR(255),
	hashed VARCHAR(255),
	prefix VARCHAR(16),
	created DATETIME,
	last_activity DATETIME,
	PRIMARY KEY (id),
	FOREIGN KEY(client_id) REFERENCES oauth_clients (identifier) ON DELETE CASCADE,
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	UNIQUE (hashed)
);
CREATE TABLE oauth_clients (
	id INTEGER NOT NULL,
	identifier VARCHAR(255),
	description VARCHAR(1023),
	secret VARCHAR(255),
	redirect_uri VARCHAR(1023),
	PRIMARY KEY (id),
	UNIQUE (identifier)
);
CREATE TABLE oauth_codes (
	id INTEGER NOT NULL,
	client_id VARCHAR(255),
	code VARCHAR(36),
	expires_at INTEGER,
	redirect_uri VARCHAR(1023),
	session_id VARCHAR(255),
	user_id INTEGER,
	PRIMARY KEY (id),
	FOREIGN KEY(client_id) REFERENCES oauth_clients (identifier) ON DELETE CASCADE,
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE servers (
	id INTEGER NOT NULL,
	proto VARCHAR(15),
	ip VARCHAR(255),
	port INTEGER,
	base_url VARCHAR(255),
	cookie_name VARCHAR(255),
	PRIMARY KEY (id)
);
CREATE TABLE services (
	id INTEGER NOT NULL,
	name VARCHAR(255),
	admin BOOLEAN,
	_server_id INTEGER,
	pid INTEGER,
	PRIMARY KEY (id),
	UNIQUE (name),
	FOREIGN KEY(_server_id) REFERENCES servers (id) ON DELETE SET NULL
);
CREATE TABLE spawners (
	id INTEGER NOT NULL,
	user_id INTEGER,
	server_id INTEGER,
	state TEXT,
	name VARCHAR(255),
	started DATETIME,
	last_activity DATETIME,
	user_options TEXT,
	PRIMARY KEY (id),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	FOREIGN KEY(server_id) REFERENCES servers (id) ON DELETE SET NULL
);
CREATE TABLE user_group_map (
	user_id INTEGER NOT NULL,
	group_id INTEGER NOT NULL,
	PRIMARY KEY (user_id, group_id),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	FOREIGN KEY(group_id) REFERENCES groups (id) ON DELETE CASCADE
);
CREATE TABLE users (
	id INTEGER NOT NULL,
	name VARCHAR(255),
	admin BOOLEAN,
	created DATETIME,
	last_activity DATETIME,
	cookie_id VARCHAR(255) NOT NULL,
	state TEXT,
	encrypted_auth_state BLOB,
	PRIMARY KEY (id),
	UNIQUE (name),
	UNIQUE (cookie_id)
);
CREATE INDEX ix_oauth_access_tokens_prefix ON oauth_access_tokens (prefix);
CREATE INDEX ix_api_tokens_prefix ON api_tokens (prefix);
-- Rows, by hand.
INSERT INTO servers VALUES (1, 'http', '', 8081, '/user/ann/', 'cookie');
INSERT INTO users VALUES
  (1, 'ann', 1, '2021-01-01 00:00:00', '2021-02-01 00:00:00', 'c1', '{}', x'00ff'),
  (2, 'bob', 0, '2021-01-02 00:00:00', NULL, 'c2', '{}', NULL);
INSERT INTO groups VALUES (1, 'staff');
INSERT INTO user_group_map VALUES (1, 1);
INSERT INTO services VALUES (1, 'cull-idle', 1, NULL, 4711);
INSERT INTO spawners VALUES (1, 1, 1, '{"pid": 1}', '', '2021-02-01 00:00:00', NULL, '{}');
INSERT INTO oauth_clients VALUES (1, 'jupyterhub', 'the hub', 'secret', '/hub/cb');
INSERT INTO oauth_codes VALUES (1, 'jupyterhub', 'code', 1600000000, '/hub/cb', 's1', 1);
INSERT INTO api_tokens VALUES (1, NULL, 1, 'sha512:1:a:b', 'abcd', '2021-01-03', NULL, NULL, 'note');
INSERT INTO oauth_access_tokens VALUES (1, 'jupyterhub', 'authorization_code', NULL, NULL, NULL, 1,
  's1', 'sha512:1:c:d', 'efgh', '2021-01-04', NULL);
COMMIT;
