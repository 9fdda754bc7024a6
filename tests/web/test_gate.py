"""Whose pages and which names may reach the pages; no browser and no studio is needed to ask that."""

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pictura.core.errors import ConfigError
from pictura.web.frame.gate import Gate, WebConfig
from pictura.web.frame.login import _inside

API = "http://127.0.0.1:7860"


def client(config: WebConfig, host: str) -> TestClient:
    app = FastAPI()

    @app.get("/")
    @app.post("/")
    def page() -> str:
        return "a page"

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    app.add_middleware(Gate, config=config)
    return TestClient(app, base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1:7861", "localhost:7861", "[::1]:7861"])
def test_without_login_names_of_this_machine_are_answered(host: str) -> None:
    answer = client(WebConfig(api=API), host).get("/")
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "studio.example.org"])
def test_without_login_no_other_name_is_answered(host: str) -> None:
    answer = client(WebConfig(api=API), host).get("/")
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("These pages answer to names of their own machine")
    with pytest.raises(WebSocketDisconnect), client(WebConfig(api=API), host).websocket_connect("/ws"):
        pass


def test_with_login_or_a_public_address_other_names_are_answered() -> None:
    assert client(WebConfig(api=API, login=True), "studio.example.org").get("/").status_code == 200
    public = WebConfig(api=API, public_url="https://studio.example.org")
    assert client(public, "studio.example.org").get("/").status_code == 200
    with pytest.raises(ConfigError, match=r"Whoever reaches 0\.0\.0\.0 could do everything"):
        WebConfig(api=API, host="0.0.0.0")


def test_pages_of_other_sites_open_no_socket_and_change_nothing() -> None:
    pages = client(WebConfig(api=API, login=True, public_url="https://studio.example.org"), "127.0.0.1:7861")
    for origin in ("http://127.0.0.1:7861", "https://studio.example.org"):
        assert pages.post("/", headers={"Origin": origin}).status_code == 200
        with pages.websocket_connect("/ws", headers={"Origin": origin, "Host": "127.0.0.1:7861"}) as socket:
            assert socket.receive_text() == "hello"
    for origin in ("https://evil.example", "http://127.0.0.1:9999", "null"):
        refused = pages.post("/", headers={"Origin": origin})
        assert refused.status_code == 403
        assert refused.json()["detail"].startswith("Pages of other sites may do nothing here")
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            pages.websocket_connect("/ws", headers={"Origin": origin, "Host": "127.0.0.1:7861"}),
        ):
            pass
        assert closed.value.code == 4403


@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        ("/gallery", "/gallery"),
        (None, "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
def test_a_login_leads_to_no_other_site(asked: str | None, goes: str) -> None:
    assert _inside(asked) == goes
