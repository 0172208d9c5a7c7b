# The 19 corruptions of ImageNet-C and CIFAR-10-C.
robust_corruptions = [
    'gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur', 'snow',
    'frost', 'fog', 'brightness', 'contrast', 'elastic_transform', 'pixelate', 'jpeg_compression', 'speckle_noise',
    'gaussian_blur', 'spatter', 'saturate'
]
