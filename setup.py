"""Installs mmadasap. The OpenMMLab libraries are extras: upstream and the OneDL forks offer the same import names."""
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version: dict = {}
exec((here / 'mmadasap' / 'version.py').read_text(), version)

setup(
    name='mmadasap',
    version=version['__version__'],
    description='Adaptive sharpness-aware pruning (AdaSAP) for MMDetection and MMPretrain',
    long_description=(here / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmadasap', 'mmadasap.*']),
    # Where OpenMMLab's packages keep what is run and read by path.
    package_data={'mmadasap': ['.mim/configs/**/*.py', '.mim/tools/*']},
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.1',
        'numpy',
        'torch-pruning>=1.6.1,<1.7',  # traces which channels live or die together
        'imagecorruptions-imaug>=1.1.5,<1.2',  # the 19 corruptions, on numpy 2
        'scipy>=1.9',  # HiGHS, for allocation problems that dynamic programming is too slow for
        'matplotlib>=3.7',  # pictures of channel widths
        'rich>=13',  # progress with time left, tables
    ],
    extras_require=dict(
        onedl=['onedl-mmengine>=0.10.8,<0.11', 'onedl-mmcv>=2.3,<2.4', 'onedl-mmdetection>=3.4,<3.6',
               'onedl-mmpretrain>=1.3,<1.4'],
        upstream=['mmengine>=0.10.3,<0.11', 'mmcv>=2.0.1,<2.2', 'mmdet>=3.2,<3.4', 'mmpretrain>=1.1,<1.3'],
        export=[
            'onnx>=1.15',  # the file format torch.onnx writes
            'onnxruntime>=1.17',  # runs the exported file, to check it against PyTorch and to time it
        ],
        tests=['pytest>=8', 'ruff'],
    ),
    classifiers=['License :: OSI Approved :: Apache Software License', 'Programming Language :: Python :: 3'],
)
