"""Serves a model as SageMaker asks it of a container: ``GET /ping`` and ``POST /invocations``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import importlib.util
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers the two requests."""

    inference: Any
    model: Any

    def do_GET(self) -> None:
        """Say that the model is loaded."""
        self._answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        """Predict for rows of numbers, given and answered as JSON lists."""
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.inference.predict_fn(rows, self.model)
        self._answer(200, json.dumps(answer.tolist()).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def load_inference(model_dir: Path) -> Any:
    """Import ``code/inference.py`` of the model."""
    spec = importlib.util.spec_from_file_location("inference", model_dir / "code" / "inference.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{model_dir} has no code/inference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Load the model and serve it, on port 8080 in a container."""
    folder = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    Handler.inference = load_inference(folder)
    Handler.model = Handler.inference.model_fn(str(folder))
    host = os.environ.get("SERVE_HOST", "0.0.0.0")  # noqa: S104 - in a container, SageMaker asks from outside
    address = (host, int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")))
    server = ThreadingHTTPServer(address, Handler)
    print(f"serving on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
