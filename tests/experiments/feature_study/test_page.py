from kliep_tf.experiments.feature_study.page import best_sentence


def test_best_sentence_leaves_target_labels_out():
    def cell(value):
        return {
            domain: {"rank_correlation": value}
            for domain in ("source", "target")
        }

    target = {
        "true": {},
        "cells": {
            "labels": {"nwj_20": cell(0.9)},
            "segmenter": {"nwj_20": cell(0.7), "nwj_30": cell(0.8)},
            "thumbnail": {"nwj_20": cell(0.2)},
        },
    }
    sentence = best_sentence(target)
    assert "0.800, by segmenter, nwj, ESS >= 30 %." in sentence


def test_without_features_free_of_target_labels_none_is_best():
    both = {"source": {"share_distance": 0.1}}
    both["target"] = both["source"]
    cells = {"labels": {"nwj_20": both}}
    assert best_sentence({"true": None, "cells": cells}) == ""
