"""Small networks, data and runners that the tests share."""
import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmadasap.engine.host import bare_model


class ResidualNet(nn.Module):
    """Stem, one residual block with an inner width, a depthwise convolution, and a linear output."""

    def __init__(self, width=8, inner=6, classes=3, activation=nn.ReLU, colors=3):
        super().__init__()
        self.stem = nn.Conv2d(colors, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, inner, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, width, 1)
        self.norm2 = nn.BatchNorm2d(width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm3 = nn.BatchNorm2d(width)
        self.act = activation()
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = self.act(self.stem_norm(self.stem(x)))
        x = self.act(x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))))
        return self.fc(self.act(self.norm3(self.depthwise(x))).mean((2, 3)))


@MODELS.register_module()
class ToyClassifier(BaseModel):
    """ResidualNet as mmengine trains it; counts its forward calls in loss mode."""

    def __init__(self, dropout=0.0, data_preprocessor=None, activation='ReLU', **kwargs):
        super().__init__(data_preprocessor)
        self.net = ResidualNet(activation=getattr(nn, activation), **kwargs)
        self.dropout = nn.Dropout(dropout)
        self.loss_calls = 0

    def forward(self, inputs, labels=None, mode='tensor'):
        scores = self.net(self.dropout(inputs))
        if mode == 'tensor':
            return scores
        if mode == 'loss':
            self.loss_calls += 1
            return dict(loss=nn.functional.cross_entropy(scores, labels))
        return list(scores)


@MODELS.register_module()
class ToyLinear(BaseModel):
    """Two layers without norms, and a third that only batches beginning with class 0 use."""

    def __init__(self, sometimes=False):
        super().__init__()
        self.first, self.last = nn.Linear(3 * 8 * 8, 5), nn.Linear(5, 3)
        self.aside = nn.Linear(5, 3) if sometimes else None

    def forward(self, inputs, labels=None, mode='tensor'):
        hidden = self.first(inputs.flatten(1)).tanh()
        scores = self.last(hidden)
        if self.aside is not None and labels[0] == 0:
            scores = scores + self.aside(hidden)
        return dict(loss=nn.functional.cross_entropy(scores, labels)) if mode == 'loss' else scores


@HOOKS.register_module()
class KeepWeights(Hook):
    """Saves this rank's weights after every iteration, all in one tensor, to ``rank<r>.pt``."""

    def before_train(self, runner):
        self.rows = [torch.cat([p.detach().flatten() for p in runner.model.parameters()])]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rows.append(torch.cat([p.detach().flatten() for p in runner.model.parameters()]))

    def after_train(self, runner):
        torch.save(torch.stack(self.rows), f'{runner.work_dir}/rank{get_rank()}.pt')


@HOOKS.register_module()
class KeepNetwork(Hook):
    """Saves this rank's network at the end to ``rank<r>.pt``."""

    def after_train(self, runner):
        torch.save(bare_model(runner.model).state_dict(), f'{runner.work_dir}/rank{get_rank()}.pt')


@DATASETS.register_module()
class ToyData(Dataset):
    """Fixed random images with labels; one of the images may be NaN."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, length=12, bad=None, colors=3):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(length, colors, 8, 8, generator=generator)
        self.labels = torch.randint(3, (length, ), generator=generator)
        if bad is not None:
            self.images[bad] = torch.nan

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return dict(inputs=self.images[index], labels=self.labels[index])


def randomize(model, seed=0):
    """Non-trivial values everywhere: biases, gamma, beta and running statistics."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.parameters():
        tensor.data.copy_(0.5 * torch.randn(tensor.shape, generator=generator))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return model


def make_runner(work_dir, optim_wrapper, custom_hooks=(), model=None, epochs=2, batch_size=4, **kwargs):
    """A real Runner from a config over the toy data; everything is seeded."""
    torch.manual_seed(0)
    wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-3)) | optim_wrapper
    cfg = dict(
        model=dict(type='ToyClassifier') | (model or {}),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=dict(type='ToyData'),
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate')),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=wrapper,
        custom_hooks=list(custom_hooks),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=100), checkpoint=dict(type='CheckpointHook', interval=1)),
        randomness=dict(seed=0),
        default_scope='mmengine',
        experiment_name=str(work_dir).replace('/', '-'),
        log_level='WARNING')
    return Runner.from_cfg(Config(cfg | kwargs))


def values(model):
    """A copy of all parameters and buffers by name."""
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(a, b):
    """Whether two such copies agree to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
