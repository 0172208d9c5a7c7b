# For tools/test.py with any checkpoint of this network, dense or pruned: top-1 and R_C on the published CIFAR-10-C.
_base_ = ['./resnet18-w16_dense-1xb128-20e_cifar10.py', '../../_base_/datasets/cifar10_robust.py']
test_dataloader = dict(dataset=_base_.robust_dataset)
test_evaluator = dict(_delete_=True, type='mmadasap.RobustAccuracy', topk=(1, ))
