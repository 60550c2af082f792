"""Models to hold a drift number against: of the same shape and random, or the base model moved as far at random."""

from __future__ import annotations

import copy
from typing import Any

import torch

from tunescope.errors import ModelError
from tunescope.models.network import Network, quiet


def random_network(network: Network, *, seed: int) -> Any:
    """A model of the network's shape with weights as its architecture draws them: the ceiling of drift.

    Args:
        network: Not changed.
        seed: Draws the weights; the global generators are left as they were.

    Returns:
        A model on the same device, in evaluation mode.
    """
    model = copy.deepcopy(network.model)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), quiet():
        torch.manual_seed(seed)
        fresh = type(model)(copy.deepcopy(model.config))
    model.load_state_dict(fresh.state_dict())
    return model.eval()


def moved_at_random(base: Any, tuned: Any, *, seed: int) -> Any:
    """The base model with every weight that tuning changed moved by as much, in a random direction: does drift exceed what
    an update of that length must give?

    Each changed tensor gets Gaussian noise scaled to the Frobenius norm of its own update. An adapter's update is what it
    adds to the base weight when it is merged.

    Args:
        base: The base model under its head; not changed.
        tuned: The tuned model under the same head, a peft wrapper or not; not changed, but for a copy on the way.
        seed: Draws the directions.

    Returns:
        A model on the base model's device, in evaluation mode.

    Raises:
        ModelError: If the tuned model's update cannot be told from its weights (prompts, virtual tokens).
    """
    target = _merged(tuned)
    moved = copy.deepcopy(base)
    before, after = moved.state_dict(), target.state_dict()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in before.items():
            if name not in after or after[name].shape != weight.shape:
                raise ModelError(f"the tuned model has no weight '{name}' of shape {tuple(weight.shape)}")
            if not weight.is_floating_point():
                continue
            length = float((after[name].double() - weight.double()).square().sum().sqrt())
            if length > 0.0:
                noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                noise *= length / float(noise.square().sum().sqrt())
                weight.copy_(weight.double().cpu().add(noise).to(weight))
    return moved.eval()


def _merged(tuned: Any) -> Any:
    """The plain model a peft wrapper stands for; a model without a wrapper as it is."""
    adapter = getattr(tuned, "active_peft_config", None)
    if adapter is None:
        return tuned
    if adapter.is_prompt_learning:
        raise ModelError("its method adds virtual tokens and changes no weight")
    wrapper = copy.deepcopy(tuned)
    try:
        return wrapper.merge_and_unload()
    except (NotImplementedError, AttributeError, ValueError, TypeError) as error:
        raise ModelError(f"its adapter cannot be merged: {error}") from error
