"""The same model behind LitServe, with the eager network or the int8 ONNX file.

    LITSERVE_VERSION=run/store/carpet/1 LITSERVE_MODEL=int8 run/litserve/bin/python -m benchmarks.litserve_service 9000

Two workers, a thread each: on two CPUs that gives more images a second than one worker of two threads.
"""

import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from fastapi import UploadFile
from PIL import Image

from model.artifact import read_artifact
from model.cpus import available_cpus
from model.engines.output import NetworkOutput
from model.evidence import enlarge


class InspectionResult(litserve.LitAPI):
    """Pillow's work and the network, in a worker process."""

    def setup(self, device: str) -> None:
        artifact = read_artifact(Path(os.environ["LITSERVE_VERSION"]))
        self.manifest = artifact.manifest
        self.size = self.manifest.preprocessing.input_size
        if os.environ["LITSERVE_MODEL"] == "int8":
            from model.engines.ort import onnxruntime

            self.variant = self.manifest.variant("int8")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(artifact.file("model.int8.onnx"), options)
            names = [output.name for output in session.get_outputs()]
            self.network = lambda pixels: (
                NetworkOutput(**dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))).whole
            )
        else:
            import torch

            from model.network import VGG16CAM
            from model.weights import read_weights

            torch.set_num_threads(1)
            self.variant = self.manifest.variant("float32")
            network = VGG16CAM(self.manifest.network).eval().requires_grad_(False)
            network.set_weights(read_weights(artifact.file("weights.safetensors"), self.manifest.network))
            self.network = lambda pixels: network(torch.from_numpy(pixels)).numpy()

    def decode_request(self, request: UploadFile) -> np.ndarray:
        image = Image.open(request.file).convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.array(image)[None]

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self.network(pixels)[0])

    def encode_response(self, evidence: np.ndarray) -> dict[str, Any]:
        log_odds = self.variant.calibration(float(self.manifest.pooling(evidence)))
        probability = 1 / (1 + np.exp(-log_odds))
        buffer = io.BytesIO()
        heatmap = Image.fromarray((255 * self.variant.heatmap_scale(enlarge(evidence, self.size))).astype(np.uint8))
        heatmap.save(buffer, "PNG")
        return {
            "label": "anomaly" if probability >= self.variant.thresholds.label else "good",
            "probability": float(probability),
            "heatmap": base64.b64encode(buffer.getvalue()).decode(),
        }


if __name__ == "__main__":
    server = litserve.LitServer(InspectionResult(), accelerator="cpu", workers_per_device=available_cpus())
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
