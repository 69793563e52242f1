"""The database: tables, engine, migrations. SQLAlchemy Core on SQLite or PostgreSQL."""
