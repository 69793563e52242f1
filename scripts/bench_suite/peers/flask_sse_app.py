"""flask-sse with Redis, fed by POST /publish."""

import os

from flask import Flask, request
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ["REDIS_URL"]
app.register_blueprint(sse, url_prefix="/events")


@app.post("/publish")
def publish() -> str:
    sse.publish({"text": request.get_data(as_text=True)})
    return "ok"
