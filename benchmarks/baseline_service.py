"""What one would write in an afternoon: FastAPI, PyTorch eager and Pillow, with the version's own network and figures.

    BASELINE_VERSION=run/store/carpet/1 python -m uvicorn benchmarks.baseline_service:app --port 9000

Nothing in it is slower than it would be written without further thought.
"""

import base64
import io
import os
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI, UploadFile
from PIL import Image

from model.artifact import read_artifact
from model.network import VGG16CAM
from model.weights import read_weights

artifact = read_artifact(Path(os.environ["BASELINE_VERSION"]))
manifest = artifact.manifest
variant = manifest.variant("float32")
size = manifest.preprocessing.input_size
network = VGG16CAM(manifest.network)
network.set_weights(read_weights(artifact.file("weights.safetensors"), manifest.network))
network.eval()
app = FastAPI()


@app.get("/ready")
def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, str | float]:
    image = Image.open(file.file).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    with torch.no_grad():
        evidence = network(pixels[None])[0]
    log_odds = variant.calibration(float(manifest.pooling(evidence.numpy())))
    probability = 1 / (1 + np.exp(-log_odds))
    enlarged = torch.nn.functional.interpolate(evidence[None, None], (size, size), mode="bilinear")[0, 0]
    heatmap = Image.fromarray((255 * variant.heatmap_scale(enlarged.numpy())).astype(np.uint8))
    buffer = io.BytesIO()
    heatmap.save(buffer, "PNG")
    return {
        "label": "anomaly" if probability >= variant.thresholds.label else "good",
        "probability": float(probability),
        "heatmap": base64.b64encode(buffer.getvalue()).decode(),
    }
