"""A loss whose every step can be worked out by hand."""
import torch
from mmengine.model import BaseModel
from torch import nn

from mmadasap.engine import AdaSAPOptimWrapper

SAM = dict(type='UniformRadius', rho=0.05)
ADAPTIVE = dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)


class Quadratic(BaseModel):
    """loss = (a^2 x + b^2 y) / 2 with a layer of two neurons (a), (b)."""

    def __init__(self, a, b):
        super().__init__()
        self.layer = nn.Linear(1, 2, bias=False, dtype=torch.float64)
        self.layer.weight.data = torch.tensor([[a], [b]], dtype=torch.float64)
        self.seen = []

    def forward(self, x, mode='tensor'):
        self.seen.append(self.layer.weight.detach().flatten().tolist())
        out = self.layer(torch.ones(1, 1, dtype=torch.float64)).square().flatten()
        return dict(loss=(out * x).sum() / 2)


def one_step(model, batch=(1.0, 1.0), **kwargs):
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), **kwargs)
    model.train_step(dict(x=torch.tensor(batch, dtype=torch.float64)), wrapper)
    return model.layer.weight.detach().flatten().tolist()
