"""For orchestrators and scrapers."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.documentation import problems
from app.errors import NotReadyError, problem_response
from app.routes import page
from app.routes.dependencies import TheService
from app.routes.media import preferred
from app.schemas import Health

router = APIRouter(tags=["health"])


@router.get(
    "/",
    response_model=dict[str, str],
    responses={
        200: {"description": "Addresses; the inspection page with Accept: text/html.", "content": {"text/html": {}}}
    },
)
async def index(request: Request, service: TheService) -> Response | dict[str, str]:
    """Where to go: addresses for programs, the inspection page for browsers."""
    if preferred(request, ["application/json", "text/html"]) == "text/html":
        return await page.index(request)
    root = request.scope.get("root_path", "")
    pages = {"documentation": "/docs", "models": "/v1/models", "health": "/readyz", "metrics": "/metrics"}
    if service.records:
        pages["inspections"] = "/v1/inspections"
    return {"service": "Camspector"} | {name: root + path for name, path in pages.items()}


@router.head("/livez", response_model=Health, responses=problems(NotReadyError))
@router.get("/livez", response_model=Health, responses=problems(NotReadyError))
async def livez(request: Request, service: TheService) -> Response | Health:
    """Whether the process and its engine run. Where they don't, restart it."""
    return unwell(request, service.dead()) or Health(status="live")


@router.head("/readyz", response_model=Health, responses=problems(NotReadyError))
@router.head("/healthz", response_model=Health, responses=problems(NotReadyError))
@router.get("/readyz", response_model=Health, responses=problems(NotReadyError))
@router.get("/healthz", response_model=Health, responses=problems(NotReadyError))
async def readyz(request: Request, service: TheService) -> Response | Health:
    """Whether every model is loaded and self-tested, and the process isn't about to stop. /healthz is the same."""
    return unwell(request, service.unready()) or Health(status="ready")


@router.head("/metrics", response_class=PlainTextResponse)
@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(service: TheService) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def unwell(request: Request, reasons: list[str]) -> Response | None:
    """The problem that names the reasons; None: there are none."""
    return problem_response(request, NotReadyError("; ".join(reasons))) if reasons else None
