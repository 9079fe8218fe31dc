import json

import pytest


def test_file_gives_the_defaults_and_typed_options_win(run_nnx, tmp_path):
    (tmp_path / "run.toml").write_text(
        'layers = [8, 4]\nbatch-size = "full"\nbatch-norm = true\nepochs = 3\n'
        'backend = "generic:numpy"\njson = true\n'
    )
    assert json.loads(run_nnx("train", "digits", "--config", "run.toml").stdout)["epochs"] == 3
    assert json.loads(run_nnx("train", "digits", "--config", "run.toml", "--epochs", 1).stdout)["epochs"] == 1


def test_typed_iterations_win_over_epochs_in_the_file(run_nnx, tmp_path):
    (tmp_path / "run.toml").write_text('layers = ""\nepochs = 3\nbatch-size = "full"\nbackend = "generic:numpy"\n')
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
        ("learnin-rate = 0.1", "Did you mean 'learning-rate'?"),
        ("batch_norm = true", "Did you mean 'batch-norm'?"),
        ("config = 'other.toml'", "Unknown option"),
        ("batch-norm = 1", "batch-norm in 'run.toml' must be true or false, got 1"),
        ("epochs = true", "epochs in 'run.toml' must be a whole number of at least 1, got True"),
        ("epochs = '3'", "epochs in 'run.toml' must be a whole number of at least 1, got '3'"),
        ("epochs = 0", "--epochs must be a whole number of at least 1, got 0"),
        ("epochs = 2.5", "epochs in 'run.toml' must be a whole number of at least 1, got 2.5"),
        ("l2 = '0.1'", "l2 in 'run.toml' must be a number of at least 0, got '0.1'"),
        (f"l2 = 1{'0' * 400}", "--l2 must be a number of at least 0, got 1000"),
        ("save = 5", "save in 'run.toml' must be a text, got 5"),
        ("layers = {first = 20}", "layers in 'run.toml' must be an array of whole numbers"),
        ("layers = [20, 'x']", "layers in 'run.toml' must be an array of whole numbers"),
        ("layers = [[20]]", "layers in 'run.toml' must be an array of whole numbers"),
        ("layers = '20,x'", "--layers must be whole numbers"),
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
