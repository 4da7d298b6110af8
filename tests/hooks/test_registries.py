"""Names where several registries meet: never two meanings for one name."""

import pytest
from sqlalchemy import create_engine, literal, select

from ci.errors import EntryError
from hooks.forge_choice import RegistryPair
from hooks.registries import Registries, full_name, in_registry, scope_of

MAIN = RegistryPair("main", "workflow-registry", "software-catalog")
BIO = RegistryPair("bio", "bio-workflows", "software-catalog")
BOTH = Registries({"main": MAIN, "bio": BIO})


@pytest.mark.parametrize(("pair", "name"), [(MAIN, "rom"), (BIO, "bio+rom")])
def test_a_full_name_goes_there_and_back(pair, name):
    assert full_name(pair, "rom") == name
    assert BOTH.split(name) == (pair, "rom")


def test_scopes_of_two_registries_are_apart():
    assert scope_of(MAIN, 3) == "pull-3"
    assert scope_of(BIO, 3) == "pull-bio-3"


def test_a_catalogue_may_serve_several_registries():
    assert BOTH.with_software("software-catalog") == [MAIN, BIO]
    assert BOTH.using("bio-workflows") == [BIO]
    assert BOTH.with_workflows("software-catalog") == []


def test_a_registry_that_is_not_there_is_named():
    with pytest.raises(EntryError, match="no registry 'geo'"):
        BOTH.split("geo+rom")


def test_builds_are_told_apart_by_registry():
    names = ["rom", "course+rom", "course2+rom", "c_urse+rom"]
    with create_engine("sqlite://").connect() as connection:
        for registry, found in (("main", ["rom"]), ("course", names[1:2]), ("c_urse", names[3:])):
            there = [select(in_registry(literal(name), registry)) for name in names]
            held = [bool(connection.scalar(query)) for query in there]
            assert [name for name, holds in zip(names, held, strict=True) if holds] == found
