"""Bare Flask: a POST that inserts one row into SQLite, or, without DATABASE, none."""

import os
import sqlite3

from flask import Flask, request

app = Flask(__name__)
connection: sqlite3.Connection | None = None
if path := os.environ.get("DATABASE"):
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE comments (id INTEGER PRIMARY KEY, body TEXT)")


@app.post("/publish")
def publish() -> tuple[dict[str, str], int]:
    body = request.get_json()["body"]
    if connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO comments (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
    return {"body": body}, 201
