"""The tools as tests call them: in this process, with few flags."""

from tfrecords_tools.attach_weights import AttachWeightsConfig, attach_weights
from tfrecords_tools.convert_cityscapes import (
    ConvertCityscapesConfig,
    convert_cityscapes,
)
from tfrecords_tools.convert_gta5 import ConvertGta5Config, convert_gta5


def convert(input_dir, output_dir, **flags):
    config = ConvertGta5Config(
        input_dir=str(input_dir),
        output_dir=str(output_dir),
        **{"num_workers": 0, **flags},
    )
    convert_gta5(config)
    return config


def convert_city(input_dir, output_dir, **flags):
    config = ConvertCityscapesConfig(
        input_dir=str(input_dir),
        output_dir=str(output_dir),
        **{"num_workers": 0, **flags},
    )
    convert_cityscapes(config)


def attach(records_dir, weights_dir, output_dir, **flags):
    config = AttachWeightsConfig(
        str(records_dir), str(weights_dir), "source", str(output_dir), **flags
    )
    attach_weights(config)
