import json

import pytest


def test_file_gives_the_defaults_and_typed_options_win(run_nnx, tmp_path):
    (tmp_path / "run.toml").write_text(
        'layers = [8, 4]\nbatch-size = "full"\nbatch_norm = true\nepochs = 3\n'
        'backend = "generic:numpy"\njson = true\n'
    )
    assert json.loads(run_nnx("train", "digits", "--config", "run.toml").stdout)["epochs"] == 3
    assert json.loads(run_nnx("train", "digits", "--config", "run.toml", "--epochs", 1).stdout)["epochs"] == 1


def test_typed_iterations_win_over_epochs_in_the_file(run_nnx, tmp_path):
    (tmp_path / "run.toml").write_text('layers = ""\nepochs = 3\nbatch_size = "full"\nbackend = "generic:numpy"\n')
    report = json.loads(run_nnx("train", "digits", "--config", "run.toml", "--iterations", 2, "--json").stdout)
    assert report["iterations"] == 2


def test_file_means_the_same_as_typing(run_nnx, tmp_path):
    (tmp_path / "run.toml").write_text('layers = [8, 4]\ndropout = 0.2\nepochs = 1\nbackend = "generic:numpy"\n')
    typed = ("--layers", "8,4", "--dropout", "0.2", "--epochs", "1", "--backend", "generic:numpy")
    from_file = json.loads(run_nnx("train", "digits", "--config", "run.toml", "--json").stdout)
    from_line = json.loads(run_nnx("train", "digits", *typed, "--json").stdout)
    assert from_file["cost_after"] == from_line["cost_after"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learnin_rate = 0.1", "Did you mean 'learning_rate'?"),
        ("config = 'other.toml'", "Unknown option"),
        ("batch_norm = 1", "batch_norm in 'run.toml' must be true or false, got 1"),
        ("epochs = true", "epochs in 'run.toml' must be a text or a number, got True"),
        ("layers = {first = 20}", "must be a text, a number or a list of numbers"),
        ("layers = [20, 'x']", "--layers must be whole numbers"),
        ("epochs = 'many'", "--epochs"),
        ("epochs = 1\niterations = 1", "exclude each other"),
        ("epochs = ", "not a readable TOML file"),
    ],
)
def test_mistake_in_the_file_is_one_line_and_exit_code_2(run_nnx, complaint, tmp_path, text, expected):
    (tmp_path / "run.toml").write_text(text)
    result = run_nnx("train", "digits", "--config", "run.toml")
    assert expected in complaint(result)
    assert result.exit_code == 2


def test_file_that_is_not_text_or_not_there_is_refused(run_nnx, complaint, tmp_path):
    (tmp_path / "noise.toml").write_bytes(b"\xff\xfe\x00")
    assert "not a readable TOML file" in complaint(run_nnx("train", "digits", "--config", "noise.toml"))
    assert "is not a file" in complaint(run_nnx("train", "digits", "--config", "absent.toml"))
