"""Where env.py provably uses the configured URL, and every way in which it may not."""

from __future__ import annotations

from pathlib import Path

import alembic
import pytest

from orchctl.chain.environment import EnvironmentFacts, read_environment

TEMPLATES = Path(alembic.__file__).parent / "templates"
STOCK = (TEMPLATES / "generic" / "env.py").read_text()
ASYNC = (TEMPLATES / "async" / "env.py").read_text()
SECTION = "config.get_section(config.config_ini_section, {})"
ENGINE = (
    "    connectable = engine_from_config(\n"
    f"        {SECTION},\n"
    '        prefix="sqlalchemy.",\n'
    "        poolclass=pool.NullPool,\n"
    "    )\n"
)
CONFIG = "config = context.config\n"
RUN = "if context.is_offline_mode():\n"


def facts(tmp_path: Path, text: str) -> EnvironmentFacts:
    path = tmp_path / "env.py"
    path.write_text(text)
    return read_environment(path)


@pytest.mark.parametrize(
    ("template", "proven"),
    [
        ("generic", True),
        ("async", True),
        ("pyproject", True),
        ("pyproject_async", True),
        ("multidb", False),
    ],
)
def test_alembics_own_templates(template: str, proven: bool) -> None:
    found = read_environment(TEMPLATES / template / "env.py")
    assert found.url_from_configuration is proven
    assert found.version_table == "alembic_version"
    assert found.reason


def stock(before: str = "", *, engine: str = ENGINE, imports: str = "") -> str:
    text = imports + STOCK.replace(ENGINE, engine)
    assert engine in text
    return text.replace(CONFIG, CONFIG + before)


def url(expression: str) -> str:
    """The stock file with the URL set from an expression."""
    return stock(f"config.set_main_option('sqlalchemy.url', {expression})\n", imports="import os\n")


def made(call: str, imports: str = "") -> str:
    """The stock file with another engine."""
    return stock(engine=f"    connectable = {call}\n", imports=imports)


CONFIGURE = (
    "context.configure(\n            connection=connection, target_metadata=target_metadata\n"
    "        )"
)
GO = "def go(connection):\n    context.configure(connection=connection)\n\n\n"
CREATE = "from sqlalchemy import create_engine\n"
VARIABLE = "os.environ['DATABASE_URL']"
OPTION = "config.get_main_option('sqlalchemy.url')"

PROVEN = {
    "stock": STOCK,
    "with models": stock(imports="from app.models import Base\n"),
    "own metadata": STOCK.replace(
        "target_metadata = None", "from app import m\ntarget_metadata = m"
    ),
    "logging": stock("import logging\nlogger = logging.getLogger('alembic')\n"),
    "reads arguments": stock("verbose = context.get_x_argument(as_dictionary=True).get('v')\n"),
    "variable": url(VARIABLE),
    "variable escaped": url(f"{VARIABLE}.replace('%', '%%')"),
    "variable by get": url("os.environ.get('DATABASE_URL')"),
    "variable with default": url("os.environ.get('DATABASE_URL', 'sqlite:///x.db')"),
    "getenv": url("os.getenv('DATABASE_URL')"),
    "getenv imported": stock(
        "config.set_main_option('sqlalchemy.url', getenv('DATABASE_URL'))\n",
        imports="from os import getenv\n",
    ),
    "variable or option": url(f"os.getenv('DATABASE_URL') or {OPTION}"),
    "variable or constant": url("os.getenv('DATABASE_URL') or 'sqlite:///x.db'"),
    "option again": url(OPTION),
    "through names": stock(
        f"a = {VARIABLE}\nb = a\nb = b.replace('%', '%%')\n"
        "config.set_main_option('sqlalchemy.url', b)\n",
        imports="import os\n",
    ),
    "under a condition": stock(
        "url = os.environ.get('DATABASE_URL')\nif url:\n"
        "    config.set_main_option('sqlalchemy.url', url.replace('%', '%%'))\n",
        imports="import os\n",
    ),
    "either": url(f"{VARIABLE} if 'DATABASE_URL' in os.environ else {OPTION}"),
    "another driver": url(f"{VARIABLE}.replace('sqlite+aiosqlite://', 'sqlite://')"),
    "str of it": url(f"str({VARIABLE})"),
    "other variables": stock(
        "os.environ['X'] = '1'\n" + "x = os.environ.get('Y')\n", imports="import os\n"
    ),
    "environment of others": stock("os.environ.update(x)\n", imports="import os\n"),
    "dotenv": stock("load_dotenv()\n", imports="from dotenv import load_dotenv\n"),
    "create_engine of the option": made(f"create_engine({OPTION})", CREATE),
    "create_engine of the variable": made(
        f"create_engine({VARIABLE}, echo=True)", CREATE + "import os\n"
    ),
    "create_engine of a name": made("create_engine(url)", CREATE).replace(
        CONFIG, CONFIG + f"url = {OPTION}\n"
    ),
    "module attribute": made(f"sa.engine_from_config({SECTION})", "import sqlalchemy as sa\n"),
    "section named": STOCK.replace(
        ENGINE,
        f"    section = {SECTION}\n    connectable = engine_from_config(section)\n",
    ),
    "section or nothing": made(f"engine_from_config({SECTION} or {{}})"),
    "context.config": STOCK.replace(
        "config.get_section(config.config", "context.config.get_section(config.config"
    ),
    "connect arguments": made(
        f"engine_from_config({SECTION}, connect_args={{'timeout': 3, 'detect_types': 1}})"
    ),
    "begin": STOCK.replace("connectable.connect()", "connectable.begin()"),
    "no engine name": STOCK.replace(ENGINE, "").replace(
        "connectable.connect()", f"engine_from_config({SECTION}).connect()"
    ),
    "connection assigned": STOCK.replace(
        "with connectable.connect() as connection:",
        "connection = connectable.connect()\n    if True:",
    ),
    "execution options": STOCK.replace(
        "connectable.connect() as", "connectable.connect().execution_options(x=1) as"
    ),
    "options opened": STOCK.replace(
        CONFIGURE,
        "context.configure(connection=connection, **OPTIONS)",
    ).replace(CONFIG, CONFIG + "OPTIONS = {'compare_type': True, 'render_as_batch': True}\n"),
    "positional connection": STOCK.replace("connection=connection,", "connection,"),
    "a helper called": STOCK.replace(
        "def run_migrations_online", GO + "def run_migrations_online"
    ).replace(CONFIGURE, "go(connection)"),
    "annotated": STOCK.replace("config = context", "config: Config = context"),
    "a hook with its own context": STOCK.replace(
        RUN,
        "def process_revision_directives(context, revision, directives):\n"
        "    if context.config.cmd_opts.autogenerate:\n        context.anything(directives)\n\n\n"
        + RUN,
    ),
    "a hook with its own config": STOCK.replace(
        RUN, "def include(config, name):\n    return setup(config)\n\n\n" + RUN
    ),
    "old async": ASYNC.replace(
        "from sqlalchemy.ext.asyncio import async_engine_from_config",
        "from sqlalchemy import engine_from_config\nfrom sqlalchemy.ext.asyncio import AsyncEngine",
    ).replace(
        "async_engine_from_config(\n        config.get_section(config.config_ini_section, {}),\n"
        '        prefix="sqlalchemy.",\n        poolclass=pool.NullPool,\n    )',
        f"AsyncEngine(engine_from_config({SECTION}, prefix='sqlalchemy.', future=True))",
    ),
    "crlf": STOCK.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", PROVEN.values(), ids=list(PROVEN))
def test_proven(text: str, tmp_path: Path) -> None:
    assert text != STOCK or text is STOCK
    found = facts(tmp_path, text)
    assert found.url_from_configuration, found.reason


DOUBTFUL = {
    "another constant": url("'sqlite:///other.db'"),
    "another variable": url("os.environ['OTHER_URL']"),
    "another default": url("os.environ.get('X', os.environ.get('DATABASE_URL'))"),
    "constant first": url(f"'sqlite:///x.db' or {VARIABLE}"),
    "option or constant": url(f"{OPTION} or 'sqlite:///x.db'"),
    "variable and": url(f"{VARIABLE} and 'sqlite:///x.db'"),
    "added to": url(f"{VARIABLE} + '.other'"),
    "formatted": url("f\"{os.environ['DATABASE_URL']}?x=1\""),
    "replaced otherwise": url(f"{VARIABLE}.replace('prod', 'test')"),
    "from settings": stock("config.set_main_option('sqlalchemy.url', settings.url)\n"),
    "from a function": url("get_url()"),
    "from arguments": url("context.get_x_argument(as_dictionary=True).get('url')"),
    "name set twice": stock(
        f"url = {VARIABLE}\nurl = 'sqlite:///x.db'\n"
        "config.set_main_option('sqlalchemy.url', url)\n",
        imports="import os\n",
    ),
    "name from a loop": stock(
        "for url in urls:\n    config.set_main_option('sqlalchemy.url', url)\n"
    ),
    "name added to": stock(
        f"url = {VARIABLE}\nurl += 'x'\nconfig.set_main_option('sqlalchemy.url', url)\n",
        imports="import os\n",
    ),
    "os is something else": url(VARIABLE).replace("import os\n", "from app import os\n"),
    "any case": stock("config.set_main_option('SQLAlchemy.URL', 'sqlite:///x.db')\n"),
    "part of the url": stock("config.set_main_option('db_name', 'x')\n"),
    "computed option": stock("config.set_main_option(key, 'sqlite:///x.db')\n"),
    "option by keyword": stock("config.set_main_option(name='sqlalchemy.url', value='x')\n"),
    "another engine option": stock("config.set_main_option('sqlalchemy.poolclass', 'x')\n"),
    "set_section_option": stock("config.set_section_option('alembic', 'sqlalchemy.url', 'x')\n"),
    "setter handed on": stock("setter = config.set_main_option\nsetter('sqlalchemy.url', 'x')\n"),
    "attributes": stock("connection = config.attributes.get('connection')\n"),
    "file_config": stock("config.file_config.set('alembic', 'sqlalchemy.url', 'x')\n"),
    "config handed on": stock("prepare(config)\n"),
    "config aliased": stock("other = config\nother.set_section_option('alembic', 'a', 'b')\n"),
    "config in a list": stock(
        "for one in [config]:\n    one.set_main_option('sqlalchemy.url', 'x')\n"
    ),
    "config in another": STOCK.replace(CONFIG, "app.config = config = context.config\n"),
    "config replaced": stock("config = make()\n"),
    "config changed": stock("config.config_ini_section = 'other'\n"),
    "context handed on": stock("patch(context)\n"),
    "context replaced": stock("from app import context\n"),
    "configure handed on": stock("configure = context.configure\nconfigure(url='x')\n"),
    "setattr": stock("setattr(config, 'x', 1)\n"),
    "exec": stock("exec('x')\n"),
    "star import": stock(imports="from app.models import *\n"),
    "url of the section set": STOCK.replace(
        ENGINE,
        f"    section = {SECTION}\n    section['sqlalchemy.url'] = 'x'\n"
        "    connectable = engine_from_config(section)\n",
    ),
    "section updated": STOCK.replace(
        ENGINE,
        f"    section = {SECTION}\n    section.update(x)\n"
        "    connectable = engine_from_config(section)\n",
    ),
    "section merged": made(f"engine_from_config({{**{SECTION}, 'sqlalchemy.url': 'x'}})"),
    "section with a default": made(
        "engine_from_config(config.get_section(config.config_ini_section, {'sqlalchemy.url': 'x'}))"
    ),
    "another section": made("engine_from_config(config.get_section('other', {}))"),
    "another config": made("engine_from_config(app.get_section(app.config_ini_section))"),
    "another prefix": made(f"engine_from_config({SECTION}, prefix='other.')"),
    "url keyword": made(f"engine_from_config({SECTION}, url='sqlite:///x.db')"),
    "creator": made(f"engine_from_config({SECTION}, creator=connect)"),
    "a pool": made(f"engine_from_config({SECTION}, pool=mine)"),
    "keywords hidden": made(f"engine_from_config({SECTION}, **options)"),
    "connect to": made(f"engine_from_config({SECTION}, connect_args={{'database': 'x'}})"),
    "connect arguments hidden": made(f"engine_from_config({SECTION}, connect_args=arguments)"),
    "create_engine of a constant": made("create_engine('sqlite:///x.db')", CREATE),
    "create_engine without": made("create_engine(URL.create('sqlite', database='x'))", CREATE),
    "a second engine": stock("other = create_engine('sqlite:///x.db')\n", imports=CREATE),
    "an engine of somebody's": made("make_engine()"),
    "engine imported": STOCK.replace(ENGINE, "").replace(
        "connectable.connect()", "engine.connect()"
    )
    + "\nfrom app import engine\n",
    "maker of somebody's": STOCK.replace(
        "from sqlalchemy import engine_from_config", "from app import engine_from_config"
    ),
    "maker defined": stock("def engine_from_config(*a, **k): return other\n"),
    "either engine": STOCK.replace(
        ENGINE, ENGINE + "    if x:\n        connectable = app.engine\n"
    ),
    "connection of somebody's": STOCK.replace("connection=connection", "connection=other"),
    "connection from a parameter": STOCK.replace(
        "def run_migrations_online() ->", "def run_migrations_online(connection=None) ->"
    ).replace("with connectable.connect() as connection:", "if True:"),
    "connection perhaps given": STOCK.replace(
        "with connectable.connect() as connection:\n",
        "with connectable.connect() as connection:\n        connection = given or connection\n",
    ),
    "helper called with another": STOCK.replace(
        "def run_migrations_online",
        "def go(connection):\n    context.configure(connection=connection)\n\n\n"
        "go(app.connection)\n\n\ndef run_migrations_online",
    ),
    "helper handed on": ASYNC + "\nregister(do_run_migrations)\n",
    "helper decorated": ASYNC.replace("def do_run_migrations", "@wrapped\ndef do_run_migrations"),
    "no connection": "from alembic import context\ncontext.configure(url='x')\n",
    "no configure": "from app import run\nrun()\n",
    "offline url": STOCK.replace("url=url", "url='sqlite:///x.db'"),
    "arguments hidden": STOCK.replace("connection=connection,", "connection=connection, **args(),"),
    "options changed": STOCK.replace(
        "connection=connection,", "connection=connection, **OPTIONS,"
    ).replace(CONFIG, CONFIG + "OPTIONS = {}\nOPTIONS['connection'] = other\n"),
    "options with a connection": STOCK.replace("connection=connection,", "**OPTIONS,").replace(
        CONFIG, CONFIG + "OPTIONS = {'connection': other}\n"
    ),
    "schema translated": STOCK.replace(
        "connectable.connect()", "connectable.execution_options(schema_translate_map=m).connect()"
    ),
    "do_connect": stock("@event.listens_for(Engine, 'do_connect')\ndef f(*a): pass\n"),
    "variable set": url(VARIABLE).replace(CONFIG, CONFIG + f"{VARIABLE} = 'x'\n"),
    "variable perhaps set": url(VARIABLE).replace(CONFIG, CONFIG + "os.environ[key] = 'x'\n"),
    "environment updated": url(VARIABLE).replace(CONFIG, CONFIG + "os.environ.update(x)\n"),
    "environment defaulted": url(VARIABLE).replace(
        CONFIG, CONFIG + "os.environ.setdefault('a', 'b')\n"
    ),
    "environment aliased": url(VARIABLE).replace(
        CONFIG, CONFIG + "e = os.environ\ne['DATABASE_URL'] = 'x'\n"
    ),
    "environment handed on": url(VARIABLE).replace(CONFIG, CONFIG + "load(os.environ)\n"),
    "environment merged": url(VARIABLE).replace(CONFIG, CONFIG + "os.environ |= x\n"),
    "variable deleted": url(VARIABLE).replace(CONFIG, CONFIG + f"del {VARIABLE}\n"),
    "pool replaced": STOCK.replace(ENGINE, ENGINE + "    connectable.pool = x\n"),
    "putenv": url(VARIABLE).replace(CONFIG, CONFIG + "os.putenv('DATABASE_URL', 'x')\n"),
    "dotenv overrides": url(VARIABLE).replace(CONFIG, CONFIG + "load_dotenv(override=True)\n"),
    "syntax": STOCK + "\ndef f(:\n",
    "empty": "",
    "nul": STOCK + "\0",
    "deep": "x = " + "(" * 3000,
    "deep attributes": "x = y" + ".z" * 5000,
}


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=list(DOUBTFUL))
def test_in_doubt_no(text: str, tmp_path: Path) -> None:
    assert text != STOCK
    assert text != ASYNC
    found = facts(tmp_path, text)
    assert not found.url_from_configuration
    assert found.reason


def test_no_file_and_no_text(tmp_path: Path) -> None:
    found = read_environment(tmp_path / "env.py")
    assert (found.url_from_configuration, found.version_table) == (False, None)
    (tmp_path / "env.py").write_bytes(b"x = '\xe9'")
    assert not read_environment(tmp_path / "env.py").url_from_configuration


def online(arguments: str) -> str:
    return STOCK.replace("connection=connection,", f"connection=connection, {arguments},")


TABLES = {
    "default": (STOCK, "alembic_version", None),
    "named": (online("version_table='versions'"), "versions", None),
    "schema": (online("version_table_schema='meta'"), "alembic_version", "meta"),
    "both": (online("version_table='v', version_table_schema='meta'"), "v", "meta"),
    "none schema": (online("version_table_schema=None"), "alembic_version", None),
    "by a constant": (
        online("version_table=TABLE").replace(CONFIG, CONFIG + "TABLE = 'v'\n"),
        "v",
        None,
    ),
    "by options": (
        online("**OPTIONS").replace(CONFIG, CONFIG + "OPTIONS = {'version_table': 'v'}\n"),
        "v",
        None,
    ),
    "computed": (online("version_table=name()"), None, None),
    "constant set twice": (
        online("version_table=TABLE").replace(CONFIG, CONFIG + "TABLE = 'v'\nTABLE = 'w'\n"),
        None,
        None,
    ),
    "computed schema": (online("version_table_schema=schema"), None, None),
    "hidden": (online("**options()"), None, None),
    "only offline": (
        STOCK.replace("url=url,", "url=url, version_table='v',"),
        "alembic_version",
        None,
    ),
    "two names": (
        online("version_table='v'") + "\ncontext.configure(connection=c, version_table='w')\n",
        None,
        None,
    ),
}


@pytest.mark.parametrize(("text", "table", "schema"), TABLES.values(), ids=list(TABLES))
def test_version_table(text: str, table: str | None, schema: str | None, tmp_path: Path) -> None:
    found = facts(tmp_path, text)
    assert (found.version_table, found.version_table_schema) == (table, schema)


def test_this_projects_own_env_is_proven() -> None:
    root = Path(__file__).parents[3]
    found = read_environment(root / "migrations" / "env.py")
    assert found.url_from_configuration, found.reason
