"""Accept: text/plain."""

import httpx
import pytest

from tests.support.images import encoded

pytestmark = pytest.mark.anyio
EVALUATION = {"accept": "1", "reject": "2", "review": "3"}


@pytest.mark.parametrize("part", ["4711", "a%20b;c", ""])
async def test_line_has_what_the_json_has(client: httpx.AsyncClient, part: str) -> None:
    headers = {"X-Part-ID": part} if part else {}
    json = (await client.post("/predict", content=encoded(), headers=headers)).json()
    reply = await client.post("/predict", content=encoded(), headers=headers | {"Accept": "text/plain"})
    assert reply.headers["content-type"] == "text/plain; charset=us-ascii"
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert reply.text == (
        f"{EVALUATION[json['decision']]};{json['probability']:.4f};{json['decision']};widget;2;{part}\n"
    )


async def test_json_stays_where_it_is_accepted(client: httpx.AsyncClient) -> None:
    for accept in ("application/json, text/plain, */*", "*/*", "text/html", "text/plain;q=0"):
        reply = await client.post("/predict", content=encoded(), headers={"Accept": accept})
        assert reply.headers["content-type"] == "application/json"


async def test_a_line_that_would_be_too_long_is_refused_before_the_part_is_inspected(client: httpx.AsyncClient) -> None:
    longest = 80 - len("1;0.0123;accept;widget;2;\n")
    accept = {"Accept": "text/plain"}
    fits = await client.post("/predict", content=encoded(), headers=accept | {"X-Part-ID": "x" * longest})
    assert (fits.status_code, len(fits.content)) == (200, 80)
    reply = await client.post(
        "/predict", content=b"not even looked at", headers=accept | {"X-Part-ID": "x" * (longest + 1)}
    )
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert "81 characters" in reply.json()["detail"]
