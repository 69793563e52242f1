"""django-eventstream in one file, without storage, fed by POST /publish."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_eventstream"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of no use to anyone",  # noqa: S106
)
django.setup()

import django_eventstream  # noqa: E402 - it reads the settings


def publish(request: HttpRequest) -> HttpResponse:
    django_eventstream.send_event("bench", "message", request.body.decode(), json_encode=False)
    return HttpResponse("ok")


urlpatterns = [
    path("events/", include(django_eventstream.urls), {"channels": ["bench"]}),
    path("publish", publish),
]
app = get_asgi_application()
