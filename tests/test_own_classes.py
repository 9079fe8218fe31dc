"""Models with classes of one's own in files: named there, and handed to the reader."""

from __future__ import annotations

import pickle
from dataclasses import InitVar, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from support.own_classes import OWN, Gate, Saw, X, make, train
from support.saved_models import edit_config

import nnx
from nnx.callbacks import Checkpoint, ModelCheckpoint
from nnx.errors import FileFormatError, MissingClassError, OptionError


def test_a_model_with_classes_of_ones_own_is_read_back_with_all_options_and_trains_on_alike(tmp_path):
    model = make()
    train(model, epochs=1)
    model.save(tmp_path / "model.h5")
    again = nnx.load(tmp_path / "model.h5", "numpy", own_classes=OWN)
    gate, loaded = model.chain.layers[1], again.chain.layers[1]
    for name, value in gate.config().items():
        if name != "before":
            assert getattr(loaded, name) == value, name
            assert type(getattr(loaded, name)) is type(value) or name == "times"
    assert isinstance(loaded.before, tuple)
    assert repr(loaded.before) == repr(gate.before)
    assert (again.loss, again.optimizer) == (model.loss, model.optimizer)
    assert train(again)["loss"] == train(model)["loss"]


def test_a_file_without_its_classes_is_refused_with_what_to_pass(tmp_path):
    make().save(tmp_path / "model.h5")
    with pytest.raises(MissingClassError) as caught:
        nnx.load(tmp_path / "model.h5", "numpy", own_classes=[Saw])
    assert str(caught.value) == (
        f"{tmp_path / 'model.h5'}: it holds a model with classes that are not of nnx, whose code no file holds: "
        "Doubled, Gate, OwnSGD. Import them and hand them over: "
        "nnx.load(path, own_classes=[Doubled, Gate, OwnSGD])."
    )


def test_a_run_with_classes_of_ones_own_goes_on_bit_for_bit(tmp_path):
    path = tmp_path / "run.h5"
    whole, first, second = make(), make(), make()
    expected = train(whole)
    watchers = Checkpoint(path), ModelCheckpoint(tmp_path / "best.h5")
    train(first, *watchers, epochs=1)
    assert train(second, *watchers, resume=path)["loss"] == expected["loss"]
    for file in (path, tmp_path / "best.h5"):
        read = nnx.load(file, "numpy", own_classes=OWN)
        assert read.predict(X).tobytes() == whole.predict(X).tobytes()


def test_a_run_of_a_layer_with_another_option_is_another_run(tmp_path):
    path = tmp_path / "run.h5"
    train(make(Gate(0.5)), Checkpoint(path), epochs=1)
    with pytest.raises(OptionError, match=r"its layers\[1\]\.options\.start is 0\.5, that of this one 0\.75"):
        train(make(Gate(0.75)), resume=path)


def test_pickles_take_them_as_before():
    model = make()
    train(model, epochs=1)
    assert pickle.loads(pickle.dumps(model)).predict(X).tobytes() == model.predict(X).tobytes()


class Constructed(nnx.Layer):
    """Keeps what it is made of to itself."""

    def __init__(self, factor=2.0):
        self.factor = factor


class Told(Constructed):
    """Says what it is made of."""

    forward = Gate.forward
    setup = Gate.setup
    start, before = 1.0, ()

    def config(self):
        return {"factor": self.factor}


@dataclass(eq=False, repr=False)
class Halving(nnx.Layer):
    rate: float = 1.0

    def __post_init__(self):
        self.rate = self.rate / 2


@dataclass(eq=False, repr=False)
class Seeded(nnx.Layer):
    rate: float = 1.0
    seed: InitVar[int] = 3


@dataclass(eq=False, repr=False)
class Holding(nnx.Layer):
    held: Any = None


@dataclass(eq=False, repr=False)
class Picky(nnx.Layer):
    rate: float = 1.0

    def __post_init__(self):
        if self.rate != 1.0:
            raise ZeroDivisionError("not one")


class Colour(StrEnum):
    RED = "red"


class PlainLoss(nnx.losses.Loss):
    name, targets = "plain", "values"


class PlainSchedule(nnx.schedules.Schedule):
    def __call__(self, _epoch):
        return 0.1


NAMESAKE = type("Gate", (Gate,), {})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            lambda: Constructed(3.0),
            "of a Constructed cannot be told, so that the model cannot be saved: its config() ",
        ),
        (lambda: Constructed(3.0), "gives nothing, and its constructor takes factor. Make it a dataclass whose"),
        (lambda: Halving(1.0), r"has others: {'rate': 0.5} became {'rate': 0.25}. Let each option stay"),
        (lambda: Seeded(1.0, 7), "its config() gives rate, and its constructor takes rate, seed."),
        (lambda: Holding(np.zeros(2)), "a Holding whose held is array([0., 0.]) cannot be saved: a file holds"),
        (lambda: Holding({"a": 1}), "a Holding whose held is {'a': 1} cannot be saved"),
        (lambda: Holding((1, [print])), "a Holding whose held is <built-in function print> cannot be saved"),
        (lambda: Holding(float("nan")), "a Holding whose held is nan cannot be saved"),
        (lambda: Holding(Colour.RED), "a Holding whose held is <Colour.RED: 'red'> cannot be saved"),
        (lambda: Holding((Gate(), NAMESAKE())), "two classes of the name Gate cannot be saved"),
        (PlainLoss, "the options of a PlainLoss cannot be told, because it is no dataclass. Write @dataclass"),
        (PlainSchedule, "the options of a PlainSchedule cannot be told, because it is no dataclass."),
    ],
)
def test_what_could_not_be_read_back_as_it_was_is_refused_when_it_is_saved(tmp_path, part, message):
    item = part()
    forward = {"forward": lambda x, _context: (x, lambda dy: dy)}
    if isinstance(item, nnx.Layer):
        vars(item).update(forward)
    layer = item if isinstance(item, nnx.Layer) else Gate()
    loss = item if isinstance(item, nnx.losses.Loss) else None
    model = make(layer, loss, item if isinstance(item, nnx.schedules.Schedule) else None)
    with pytest.raises(OptionError) as caught:
        model.save(tmp_path / "model.h5")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_tells_its_options_need_be_no_dataclass(tmp_path):
    make(Told(3.0)).save(tmp_path / "model.h5")
    again = nnx.load(tmp_path / "model.h5", "numpy", own_classes=[Told, *OWN])
    assert again.chain.layers[1].factor == 3.0


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (Gate, "own_classes must be a list of classes, such as [MyLayer, MyLoss], got <class"),
        ({"Gate": Gate}, "own_classes must be a list of classes"),
        ("Gate", "own_classes must be a list of classes"),
        (3, "own_classes must be a list of classes"),
        ([Gate()], "own_classes must hold classes of layers, losses, optimizers or schedules, got Gate("),
        ([dict], "got <class 'dict'>; give the class itself"),
        ([Gate, NAMESAKE], "own_classes holds two classes of the name Gate; rename one"),
    ],
)
def test_own_classes_that_are_none_are_refused(tmp_path, classes, message):
    make().save(tmp_path / "model.h5")
    with pytest.raises(OptionError) as caught:
        nnx.load(tmp_path / "model.h5", own_classes=classes)
    assert message in str(caught.value)


def gate(**changes: Any) -> Any:
    def change(config: dict[str, Any]) -> None:
        item = config["layers"][1]
        item["options"].update(changes.pop("options", {}))
        item.update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (gate(options={"more": 1}), "the class that was given takes before, marks"),
        (lambda config: config["layers"][1]["options"].pop("start"), "it holds a Gate made of 'before, marks"),
        (gate(**{"class": "Doubled"}), "a Doubled cannot stand where a Layer belongs"),
        (gate(**{"class": "Picky", "options": {}}), "made of"),
        (gate(**{"class": "os.system"}), "'os.system' is no name of a class"),
        (gate(**{"class": ["Gate"]}), r"\['Gate'\] is no name of a class"),
        (gate(options={"start": float("inf")}), "an option is inf"),
        (gate(options={"start": {"tuple": 3}}), "not iterable"),
        (
            gate(options={"before": {"class": "OwnSGD", "options": {}}}),
            "OwnSGD cannot stand where a Layer belongs",
        ),
        (gate(options={"before": {"tuple": [3]}}), "layers must be nnx layers"),
        (
            lambda config: config["layers"].insert(1, {"class": "Picky", "options": {"rate": 2}}),
            r"no Picky can be made of its options: ZeroDivisionError\('not one'\)",
        ),
    ],
)
def test_options_in_a_file_that_the_class_does_not_take_are_refused(tmp_path, change, message):
    make().save(tmp_path / "model.h5")
    edit_config(tmp_path / "model.h5", change)
    with pytest.raises(FileFormatError, match=message):
        nnx.load(tmp_path / "model.h5", "numpy", own_classes=[Picky, *OWN])


def test_a_class_of_ones_own_with_the_name_of_one_of_nnx_is_not_taken_for_it(tmp_path):
    class Dense(nnx.Dense):
        """Under an inherited name."""

    model = nnx.Sequential([nnx.Dense(3), Dense(2)], input_shape=(4,), backend="numpy")
    model.save(tmp_path / "model.h5")
    with pytest.raises(MissingClassError, match="own_classes=\\[Dense\\]"):
        nnx.load(tmp_path / "model.h5")
    again = nnx.load(tmp_path / "model.h5", "numpy", own_classes=[Dense])
    assert [type(layer) for layer in again.chain.layers] == [nnx.Dense, Dense]


def test_no_class_is_looked_for_but_those_handed_over(tmp_path):
    nnx.Sequential([nnx.Dense(2)], input_shape=(4,), backend="numpy").save(tmp_path / "model.h5")
    edit_config(
        tmp_path / "model.h5", lambda config: config["layers"][0].update({"class": "Gate", "type": "Dense"})
    )
    with pytest.raises(MissingClassError, match="Gate"):
        nnx.load(tmp_path / "model.h5")


def test_a_loss_that_is_no_dataclass_says_so_in_a_sentence():
    with pytest.raises(OptionError, match=r"Write @dataclass\(frozen=True\) above the class"):
        PlainLoss().config()


def test_layers_within_layers_are_saved_and_read_in_a_moment_at_any_depth(tmp_path):
    layer = Gate()
    for _ in range(60):
        layer = Gate(before=(layer,))
    model = nnx.Sequential([layer], input_shape=(2,), backend="numpy")
    model.save(tmp_path / "model.h5")
    again = nnx.load(tmp_path / "model.h5", "numpy", own_classes=OWN)
    assert sum(isinstance(layer, Gate) for _, layer in again.places) == 61
