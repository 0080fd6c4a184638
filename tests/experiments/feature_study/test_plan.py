import dataclasses

from kliep_tf.experiments.feature_study.plan import (
    FeatureStudyConfig,
    variants,
)


def test_what_needs_more_files_is_left_out():
    everything = FeatureStudyConfig(
        output_dir="study",
        source_records="source",
        target_records="target",
        second_target_records="second",
    )
    names = [v.name for v in variants(everything, "target")]
    assert names == [
        "labels",
        "layout",
        "segmenter",
        "segmenter_plain",
        "thumbnail",
    ]
    more = dataclasses.replace(
        everything, translated_records="records", embedding_weights="file"
    )
    added = [v.name for v in variants(more, "target")]
    assert set(added) - set(names) == {
        "segmenter_translated",
        "segmenter_both_translated",
        "embedding",
    }
    # The translation is one into the first target's looks.
    second = [v.name for v in variants(more, "second_target")]
    assert "segmenter_translated" not in second
