"""The published recipe: fine-tuning of the last blocks by Adam on weighted cross-entropy."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from model.errors import DataError, RecipeError
from model.hypercolumn import BLOCKS
from model.network import VGG16CAM
from model.verdict import Calibration
from training.data.samples import Sample
from training.data.splits import Indices, Split, hold_out
from training.data.training_set import Anomalies, TrainingSet
from training.estimators.estimator import CrossValidated, FoldResult, measure, predict
from training.estimators.network import fresh_network
from training.evaluation.gate_limits import fit_appearance
from training.evaluation.post_processing import Maps, Method, cross_val_post_process, halves
from training.evaluation.thresholds import Fixed, Rule
from training.features.extraction import Features, compute_features
from training.features.imagenet import Trunk
from training.features.measuring import Measures, measure_images
from training.progress import Advance, no_progress
from training.recipe import FineTuning
from training.training_run import TrainingRun

_PREDICT_BATCH = 32


@dataclass(frozen=True)
class FineTuningEstimator:
    """Fine-tuning with a fixed threshold on the network's own softmax, measured on a share of the images held out."""

    recipe: FineTuning

    def method(
        self, samples: Sequence[Sample], rule: Rule, *, defect_rate: float | None = None, use_masks: bool = True
    ) -> Method:
        """The recipe's threshold and the network's softmax, whatever the rule."""
        calibration = softmax_calibration(sum(s.is_anomaly for s in samples) / len(samples), self.recipe)
        return Method(self.recipe.pooling, Fixed(self.recipe.threshold), defect_rate, calibration, use_masks)

    def splits(self, samples: Sequence[Sample], anomalies: Anomalies) -> list[Split]:
        """The images that are trained on, and those that are held out."""
        split = hold_out(samples, self.recipe.test_share, self.recipe.seed)
        self.check_fold(samples, split)
        return [split]

    def check_fold(self, samples: Sequence[Sample], split: Split) -> None:
        """The heatmap scale of each half of the test part is chosen on good images of the other half."""
        if sum(not samples[i].is_anomaly for i in split.test) < 2:
            raise DataError(
                f"of {len(split.test)} images that are held out only one is good, and the heatmap scale needs two: add "
                "good images, use fewer folds or finer groups"
            )

    def features_size(self, samples: Sequence[Sample], anomalies: Anomalies) -> int:
        """The output of the frozen blocks, float32."""
        side, blocks = self.recipe.input_size >> self.recipe.frozen_blocks, BLOCKS[self.recipe.frozen_blocks - 1]
        return len(samples) * side**2 * blocks[-1] * np.dtype(np.float32).itemsize

    def prepare(self, run: TrainingRun) -> "PreparedFineTuning":
        """Run the frozen blocks over every image, once."""
        recipe, samples = self.recipe, run.dataset.samples
        if run.anomalies != "real":
            raise RecipeError(f"preset {recipe.name} learns from real anomalies only")
        loaders = run.images.loaders
        network = fresh_network(run.trunk, recipe.hypercolumn, recipe.seed, run.device)
        with run.reporter.task("frozen blocks", len(loaders)) as advance:
            features = compute_features(
                lambda pixels: network.frozen(pixels, stop=recipe.frozen_blocks), loaders, run.device, advance
            )
        with run.reporter.task("measuring images", len(samples)) as advance:
            measures = measure_images(run.images, advance)
        training_set = TrainingSet(samples, np.arange(len(samples)))
        return PreparedFineTuning(training_set, features, run.trunk, recipe, run.device, measures)


@dataclass(frozen=True, eq=False)
class PreparedFineTuning:
    """The frozen blocks' output of all samples, from which any part of them can be fine-tuned on."""

    training_set: TrainingSet
    features: Features
    """N×C×h×w: the frozen blocks' output."""
    trunk: Trunk
    recipe: FineTuning
    device: str
    measures: Measures
    """Of all samples, for the gate."""

    @property
    def fit_steps(self) -> int:
        return self.recipe.epochs

    def inputs(self, indices: Indices) -> torch.Tensor:
        """The features of these samples on the device, n×C×h×w."""
        return torch.from_numpy(self.features[indices]).to(self.device)

    def fit(self, indices: Indices, advance: Advance = no_progress) -> "FineTunedNetwork":
        """Fine-tune on these samples alone; the same seed gives the same weights to the bit on one CPU.

        An epoch's accuracy is counted while it trains, as the published recipe does; `advance` hears each epoch's
        figures. Raises RecipeError where the loss is no number any more.
        """
        recipe = self.recipe
        network = fresh_network(self.trunk, recipe.hypercolumn, recipe.seed, self.device)
        order = np.random.default_rng(recipe.seed)
        targets = torch.from_numpy(self.training_set.is_anomaly.astype(np.int64)).to(self.device)
        criterion = nn.CrossEntropyLoss(torch.tensor(recipe.class_weights, device=self.device))
        learned = [*network.blocks[recipe.frozen_blocks :].parameters(), *network.dense.parameters()]
        optimizer = torch.optim.Adam(learned, lr=recipe.learning_rate)
        network.train()
        for epoch in range(1, recipe.epochs + 1):
            loss_sum, right = 0.0, 0
            shuffled = order.permutation(indices)
            for start in range(0, len(shuffled), recipe.batch_size):
                batch = shuffled[start : start + recipe.batch_size]
                layers = network.layers(self.inputs(batch), start=recipe.frozen_blocks)
                logits = network.class_maps(layers).mean((2, 3))  # n×2
                loss = criterion(logits, targets[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item() * len(batch)
                right += int((logits.argmax(1) == targets[batch]).sum())
            if not math.isfinite(loss_sum):
                raise RecipeError(f"training diverged in epoch {epoch}: its loss is {loss_sum}; lower learning_rate")
            accuracy = right / len(shuffled)
            mean_loss = loss_sum / len(shuffled)
            advance(f"epoch {epoch}/{recipe.epochs}: loss {mean_loss:.4f}, training accuracy {accuracy:.1%}")
            if accuracy >= recipe.stop_at_accuracy:
                break
        return FineTunedNetwork(network.eval(), self)

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """Fit on all but a share of these samples, which it predicts, in two halves that are post-processed in turn."""
        split = hold_out([self.training_set.samples[i] for i in real], self.recipe.test_share, self.recipe.seed)
        model = self.fit(real[split.train], advance)
        out_of_fold = halves(predict(self.training_set, model, real[split.test], 0), self.recipe.seed)
        protocol = f"{len(split.test)} held-out images (seed {self.recipe.seed}), trained on {len(split.train)} others"
        appearance = fit_appearance(model.features(real[split.train]))
        measures = replace(measure(self, model, appearance, real[split.test], 0), fold_ids=out_of_fold.fold_ids)
        return CrossValidated(model, out_of_fold, protocol, appearance, measures)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """Only the heatmap scale is chosen on the test part, for each half of it on the other half."""
        model = self.fit(split.train, advance)
        calibration = softmax_calibration(float(self.training_set.is_anomaly[split.train].mean()), self.recipe)
        out_of_fold = halves(predict(self.training_set, model, split.test, fold), self.recipe.seed)
        predictions = cross_val_post_process(out_of_fold, replace(method, calibration=calibration))
        return FoldResult([replace(prediction, fold=fold) for prediction in predictions])


@dataclass(frozen=True, eq=False)
class FineTunedNetwork:
    """A fine-tuned network, and the features that it continues from."""

    tuned: VGG16CAM
    prepared: PreparedFineTuning

    def evidence(self, indices: Indices) -> Maps:
        """Evidence maps n×h×w of these samples."""
        network = self.tuned
        return self._outputs(indices, lambda layers: network.evidence(network.class_maps(layers)))

    def features(self, indices: Indices) -> Features:
        """The gate's features n×F of these samples."""
        return self._outputs(indices, lambda layers: self.tuned.grid_features(layers[-1]))

    def _outputs(self, indices: Indices, output: Callable[[list[torch.Tensor]], torch.Tensor]) -> Features:
        """`output` of the hypercolumn's layers, for these samples."""
        start, found = self.prepared.recipe.frozen_blocks, []
        with torch.inference_mode():
            for first in range(0, len(indices), _PREDICT_BATCH):
                inputs = self.prepared.inputs(indices[first : first + _PREDICT_BATCH])
                found.append(output(self.tuned.layers(inputs, start=start)).cpu().numpy())
        return np.concatenate(found)

    def image_log_odds(self, indices: Indices) -> None:
        """There is no image head: the mean of the map is all that this recipe learns."""

    def to_network(self, image_weight: float = 0.0) -> VGG16CAM:
        """The whole network, on the CPU."""
        return copy.deepcopy(self.tuned).cpu()


def softmax_calibration(defect_rate: float, recipe: FineTuning) -> Calibration:
    """The network's own softmax, which holds at another defect rate than the data's.

    Class weights in the cross-entropy act like another share of anomalies in the data.
    """
    good, anomaly = recipe.class_weights
    return Calibration(1.0, 0.0, anomaly * defect_rate / (anomaly * defect_rate + good * (1 - defect_rate)))
