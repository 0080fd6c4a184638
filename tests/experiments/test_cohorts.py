"""The program of Table III and the programs that it runs."""

from kliep_tf.experiments import cohorts
from kliep_tf.experiments.comparison import recipes
from tests.experiments.finished_programs import check_commands, study_jobs


def test_every_command_has_the_flags_of_its_program(common):
    config = cohorts.CohortsConfig(output_dir="x", **common)
    setting = recipes.make_setting(config)
    scored, judged = study_jobs(cohorts.make_study(config, setting), setting)
    check_commands([*scored.values(), *judged.values()])


def test_each_cohort_trains_on_its_third_and_translates_everything(common):
    config = cohorts.CohortsConfig(output_dir="x", **common)
    setting = recipes.make_setting(config)
    for method in recipes.cohort_methods():
        training = recipes.training(setting, method, 0)
        assert training.flags["source_cohort"] == method.name
        assert training.flags["source_weight_exponent"] == 0.0
        translation = recipes.translation(setting, method, 0)
        assert translation.flags["source_records"] is setting.source
