"""What all tables are made of.

Texts that order (`rank`, times) compare by bytes: BINARY on SQLite, the C collation on PostgreSQL.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Ordered = Text().with_variant(Text(collation="C"), "postgresql")
Position = BigInteger().with_variant(Integer, "sqlite")


def revisioned() -> list[Column[Any]]:
    return [
        Column("revision", Integer, nullable=False),
        Column("created_at", Ordered, nullable=False),
        Column("updated_at", Ordered, nullable=False),
    ]


def actor(name: str, nullable: bool = False) -> list[Column[Any]]:
    return [
        Column(f"{name}_kind", Text, nullable=nullable),
        Column(f"{name}_name", Text, nullable=nullable),
    ]


def of(table: str, nullable: bool = False, ondelete: str = "CASCADE") -> Column[Any]:
    return Column(table, Text, ForeignKey(f"{table}s.key", ondelete=ondelete), nullable=nullable)
