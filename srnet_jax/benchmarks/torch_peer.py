"""Implement the networks of `PoseLifter` in plain, carefully optimised PyTorch, to compare its speed with ours.

It needs PyTorch, which the extra `bench` installs. A test checks that its outputs equal those of `PoseLifter` in both modes:

    module = TorchLifter(create_model(config.model))  # with PyTorch's own initial weights
    optimizer = create_optimizer(module)
    loss = train_step(module, optimizer, windows, targets)
    poses_3d = predict(fold(module), sequences)

It is fast for these reasons. Features are ordered by group (the input of the first layer is permuted once), so each group is a
slice and needs no index. The taps of a window are a reshape. One product computes the contexts of all groups. The gate of a
one-tap layer is applied after its product. Normalisation is PyTorch's fused operation, and activations are in place. In
inference the normalisation is folded into the weights.
"""

import copy

import torch
import torch.nn.functional as F  # noqa: N812 PyTorch's custom
from torch import nn

from srnet_jax.models.pose_lifter import FULLY_CONNECTED, SPLIT_RECOMBINE, LayerPlan, PoseLifter


class _Norm(nn.BatchNorm1d):
    """BatchNorm1d without the counter of batches, which is not needed with a fixed momentum."""

    def __init__(self, features: int):
        super().__init__(features)
        self.num_batches_tracked = None


class _Layer(nn.Module):
    """A fully connected, group or split-recombine layer over time, strided or dilated.

    Kernels are [k * D_g, width]. The context kernels of all groups are one array [k, D, G * k] with a mask, which is zero
    where a group would read its own features.
    """

    def __init__(self, plan: LayerPlan):
        super().__init__()
        self.kernel_size, self.dilation = plan.kernel_size, plan.dilation
        self.in_widths = [len(group) for group in plan.groups]
        shapes = [(plan.kernel_size * d, width) for d, width in zip(self.in_widths, plan.features, strict=True)]
        self.kernels = nn.ParameterList(torch.empty(shape).uniform_(-1, 1) / shape[0] ** 0.5 for shape in shapes)
        self.bias = nn.Parameter(torch.zeros(sum(plan.features))) if plan.use_bias else None
        self.recombines = plan.connectivity == SPLIT_RECOMBINE
        if self.recombines:
            k, groups = plan.kernel_size, len(plan.groups)
            owner = torch.arange(groups).repeat_interleave(torch.tensor(self.in_widths))  # [D]
            mask = (owner[:, None] != torch.arange(groups).repeat_interleave(k)).float()  # [D, G * k]
            self.register_buffer("context_mask", mask)
            self.context_kernel = nn.Parameter(torch.zeros(k, len(owner), groups * k))
            self.context_bias = nn.Parameter(torch.zeros(groups * k))
            self.context_norm = _Norm(groups * k)

    def taps(self, x: torch.Tensor, strided: bool) -> torch.Tensor:
        """Gather the k taps of each output: [B, T, D] -> [B, W, k, D]."""
        if strided or self.kernel_size == 1:
            return x.unflatten(1, (-1, self.kernel_size))
        windows = x.shape[1] - (self.kernel_size - 1) * self.dilation
        return torch.stack([x[:, start : start + windows] for start in range(0, x.shape[1] - windows + 1, self.dilation)], 2)

    def forward(self, taps: torch.Tensor) -> torch.Tensor:
        """Map taps [N, k, D] to outputs [N, C]."""
        flat = taps.flatten(1)  # [N, k * D]
        if len(self.kernels) == 1:
            return _product(flat, self.kernels[0], self.bias)
        own = taps.split(self.in_widths, dim=-1)  # [N, k, D_g] of each group
        widths = [kernel.shape[1] for kernel in self.kernels]
        biases = [None] * len(own) if self.bias is None else self.bias.split(widths)
        if not self.recombines:
            return torch.cat(
                [_product(x.flatten(1), *weights) for x, *weights in zip(own, self.kernels, biases, strict=True)], -1
            )
        context = torch.addmm(self.context_bias, flat, (self.context_kernel * self.context_mask).flatten(0, 1))
        gates = self.context_norm(context).sigmoid().split(self.kernel_size, dim=-1)  # [N, k] of each group
        parts = zip(own, gates, self.kernels, biases, strict=True)
        if self.kernel_size == 1:
            return torch.cat([_gated(x.flatten(1) @ kernel, gate, bias) for x, gate, kernel, bias in parts], -1)
        return torch.cat([_product((x * gate.unsqueeze(-1)).flatten(1), *weights) for x, gate, *weights in parts], -1)


def _product(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return x @ kernel if bias is None else torch.addmm(bias, x, kernel)


def _gated(y: torch.Tensor, gate: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return y * gate if bias is None else torch.addcmul(bias, y, gate)


class TorchLifter(nn.Module):
    """The trunk of `PoseLifter`: strided for windows of exactly the receptive field, dilated for longer sequences.

    Raises:
      ValueError: if the lifter is not one of the networks that are timed.
    """

    def __init__(self, lifter: PoseLifter):
        super().__init__()
        recombination = (lifter.recombine, lifter.context_dim, lifter.context_from, lifter.context_form)
        if SPLIT_RECOMBINE in lifter.connectivity and recombination != ("multiply", 1, "others", "official"):
            raise ValueError(f"recombination is {recombination}, expected ('multiply', 1, 'others', 'official')")
        if lifter.adds_input or lifter.causal or lifter.dense or lifter.dropout or lifter.activation != "leaky_relu":
            raise ValueError("adds_input, causal, dense, dropout or another activation: expected none, these are not timed")
        plans = lifter.layer_plans()
        self.receptive_field, self.num_joints = lifter.receptive_field, lifter.num_joints
        self.layers = nn.ModuleList(_Layer(plan) for plan in plans)
        self.norms = nn.ModuleList(_Norm(lifter.channels) for _ in plans[:-1])
        self.register_buffer("inputs", torch.tensor(sum(plans[0].groups, ())))
        grouped = plans[-1].connectivity != FULLY_CONNECTED
        self.register_buffer("outputs", torch.as_tensor(lifter._output_channels(plans[-1].features)) if grouped else None)

    def _block(self, index: int, taps: torch.Tensor) -> torch.Tensor:
        """Apply a layer, its normalisation and activation: [B, W, k, D] -> [B, W, C]."""
        y = self.norms[index](self.layers[index](taps.flatten(0, 1)))
        return F.leaky_relu_(y).view(*taps.shape[:2], -1)

    def forward(self, inputs_2d: torch.Tensor) -> torch.Tensor:
        """Lift keypoints [B, T, J, 2] to joints [B, T - receptive_field + 1, J, 3]."""
        strided = inputs_2d.shape[1] == self.receptive_field
        h = self._block(0, self.layers[0].taps(inputs_2d.flatten(2).index_select(2, self.inputs), strided))
        for index in range(1, len(self.layers) - 1, 2):
            taps = self.layers[index].taps(h, strided)
            middle = taps[:, :, taps.shape[2] // 2]
            h = middle + self._block(index + 1, self._block(index, taps).unsqueeze(2))
        y = self.layers[-1](h.flatten(0, 1).unsqueeze(1))
        if self.outputs is not None:
            y = y.index_select(1, self.outputs)
        return y.view(*h.shape[:2], self.num_joints, 3)


def create_optimizer(module: nn.Module, learning_rate: float = 1e-3) -> torch.optim.Optimizer:
    """Return an AMSGrad optimiser, in PyTorch's fused implementation, which was the fastest."""
    return torch.optim.Adam(module.parameters(), learning_rate, amsgrad=True, fused=True)


def train_step(
    module: nn.Module, optimizer: torch.optim.Optimizer, inputs_2d: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Take one optimisation step; return the L1 loss, still on the device.

    Args:
      module: in training mode.
      optimizer: optimiser of the module's parameters.
      inputs_2d: [B, receptive_field, J, 2] windows.
      targets: [B, 1, J, 3].
    """
    optimizer.zero_grad(set_to_none=True)
    loss = F.l1_loss(module(inputs_2d), targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


def fold(module: TorchLifter) -> TorchLifter:
    """Return a copy for inference, with the normalisation folded into the weights."""
    module = copy.deepcopy(module).eval()
    with torch.no_grad():
        for index, layer in enumerate(module.layers):
            if layer.recombines:
                factor, offset = _affine(layer.context_norm)
                layer.context_kernel *= factor
                layer.context_bias.copy_(layer.context_bias * factor + offset)
                layer.context_norm = nn.Identity()
            if index == len(module.norms):  # the last layer is not normalised
                break
            factor, offset = _affine(module.norms[index])
            for kernel, part in zip(layer.kernels, factor.split([kernel.shape[1] for kernel in layer.kernels]), strict=True):
                kernel *= part
            layer.bias = nn.Parameter(offset)
            module.norms[index] = nn.Identity()
    return module


def _affine(norm: _Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the offset [C] that a normalisation applies."""
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def predict(module: nn.Module, inputs_2d: torch.Tensor) -> torch.Tensor:
    """Lift whole sequences [B, T, J, 2] with a module in evaluation mode: [B, T - receptive_field + 1, J, 3]."""
    with torch.inference_mode():
        return module(inputs_2d)
