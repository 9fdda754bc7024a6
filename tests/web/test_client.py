"""The pages' client against a real studio with logins: who one is, jobs, events that go on, refusals."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from PIL import Image

from pictura.web.client import Api
from pictura.web.told import Event
from pictura.web.wire import ApiError, connections
from tests.api.api_kit import PASSWORD
from tests.web.web_kit import Pages


def as_boss(url: str, act: Callable[[Api], Awaitable[None]]) -> None:
    """Do something as the administrator."""

    async def run() -> None:
        async with connections(url) as http:
            api = Api(http)
            await api.log_in("boss", PASSWORD)
            await act(api)

    asyncio.run(run())


async def painted(api: Api, prompt: str = "a red fox --seed 1") -> list[Event]:
    (job,) = await api.submit(prompt, num_images=1, num_steps=2, size=(64, 64))
    async with aclosing(api.events(job.id)) as events:
        return [event async for event in events]


def test_a_login_paints_follows_finds_hides_and_brings_back(pages: Pages) -> None:
    async def act(api: Api) -> None:
        session = await api.session()
        assert (session.user.name, session.by, session.is_admin) == ("boss", "login", True)
        kinds = [event.kind for event in await painted(api)]
        assert (kinds[0], kinds[-1]) == ("queued", "done")
        (image, *_) = (await api.images(limit=1)).items
        assert (image.prompt, image.model, image.width) == ("a red fox --seed 1", "tiny", 64)
        answer = await api.file(image.id, "file", {"format": "webp"})
        assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
        again = await api.file(image.id, "file", {"format": "webp"}, answer.headers["etag"])
        assert again.status_code == 304
        await api.delete(image.id)
        assert image.id not in [one.id for one in (await api.images()).items]
        assert image.id in [one.id for one in (await api.images(deleted=True)).items]
        await api.restore(image.id)
        assert image.id in [one.id for one in (await api.images()).items]

    as_boss(pages.studio.url, act)


def test_visitors_on_the_same_connections_are_never_taken_for_each_other(pages: Pages) -> None:
    async def act(boss: Api) -> None:
        http = boss._wire._http
        await painted(boss)
        (image, *_) = (await boss.images(limit=1)).items
        nobody, other = Api(http), Api(http)
        with pytest.raises(ApiError, match="Say who you are") as refused:
            await nobody.session()
        assert refused.value.http_status == 401
        await other.log_in(pages.add_user()[0], PASSWORD)
        with pytest.raises(ApiError, match="There is no picture"):
            await other.image(image.id)
        assert not (await other.images()).items
        assert (await boss.session()).user.name == "boss"
        await other.log_out()
        with pytest.raises(ApiError, match="Say who you are"):
            await other.images()

    as_boss(pages.studio.url, act)


def test_a_refusal_is_the_studios_sentence_with_its_code_and_column(pages: Pages) -> None:
    async def act(api: Api) -> None:
        with pytest.raises(ApiError, match="expected whole numbers") as wrong:
            await api.submit("a fox --ar 16x9")
        assert (wrong.value.code, wrong.value.column, wrong.value.http_status) == ("bad_prompt", 7, 422)
        read = await api.parse("a fox --ar 16x9")
        assert read.error is not None
        assert (read.ok, read.error.column) == (False, 7)
        assert (await api.parse("a {red, blue} fox --ar 3:2")).num_jobs == 2
        for nothing in ("0" * 22, "../../healthz"):
            with pytest.raises(ApiError) as gone:
                await api.job(nothing)
            assert gone.value.http_status == 404

    as_boss(pages.studio.url, act)


def test_nobody_there_is_a_sentence_too() -> None:
    async def run() -> None:
        async with connections("http://127.0.0.1:9") as http:
            with pytest.raises(ApiError, match="does not answer") as error:
                await Api(http).session()
            assert error.value.code == "studio_gone"

    asyncio.run(run())


def test_keys_are_made_and_revoked_with_the_page_s_own_token(pages: Pages) -> None:
    async def act(api: Api) -> None:
        made = await api.make_key(["generate"])
        assert made.key.startswith("pic_")
        assert {key.id: key.key for key in await api.keys()}[made.id] == ""
        assert (await api.revoke_key(made.id)).revoked_at

    as_boss(pages.studio.url, act)


def test_events_go_on_behind_the_last_one_when_the_line_breaks(pages: Pages) -> None:
    async def run() -> None:
        async with connections(pages.studio.url) as http, cut_once(pages.studio.url) as (url, cuts):
            direct = Api(http)
            token = await direct.log_in("boss", PASSWORD)
            async with connections(url) as through:
                events = await painted(Api(through, token))
            assert cuts
        numbers = [event.number for event in events]
        assert numbers == sorted(set(numbers))
        assert [events[0].kind, events[-1].kind] == ["queued", "done"]
        assert len([event for event in events if event.kind == "image"]) == 1

    asyncio.run(run())


@asynccontextmanager
async def cut_once(url: str) -> AsyncIterator[tuple[str, list[bool]]]:
    """An address that passes everything on, but breaks the first stream of events behind its first event."""
    cuts: list[bool] = []
    port = urlsplit(url).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(send(reader, down))
        try:
            while data := await up.read(65536):
                if b"event: queued" in data and not cuts:
                    cuts.append(True)
                    data = data[: data.index(b"\n\n", data.index(b"event: queued")) + 2]
                writer.write(data)
                await writer.drain()
                if cuts == [True]:
                    cuts.append(False)
                    break
        finally:
            sending.cancel()
            down.close()
            writer.close()

    async def send(reader: asyncio.StreamReader, down: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            down.write(data)
            await down.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", cuts
