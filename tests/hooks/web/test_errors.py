"""Every error of a route is a sentence."""

from flask import Flask, request
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DataError

from hooks.web.errors import register


def client_of(view):
    app = Flask("test")
    register(app)
    app.route("/")(view)
    return app.test_client()


def test_what_a_database_cannot_compare_is_the_callers_mistake():
    def view():
        raise DataError("select", {}, ValueError("PostgreSQL text fields cannot contain NUL"))

    answer = client_of(view).get("/")
    assert (answer.status_code, answer.get_json()["hint"]) == (400, "")


def test_postgresql_says_so(postgresql_url):
    engine = create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))

    def view():
        with engine.connect() as connection:
            connection.execute(text("select :a = 'x'"), {"a": request.args["a"]})
        return "done"

    assert client_of(view).get("/?a=%00").status_code == 400
    engine.dispose()
