# For tools/test.py with any checkpoint of this network, dense or pruned: top-1, top-5, R_V2, R_C and mCE.
_base_ = ['./mobilenet-v1_dense-8xb128-90e_in1k.py', '../../_base_/datasets/imagenet_robust.py']
test_dataloader = dict(dataset=_base_.robust_dataset)
test_evaluator = dict(_delete_=True, type='mmadasap.RobustAccuracy', topk=(1, 5), reference='alexnet')
