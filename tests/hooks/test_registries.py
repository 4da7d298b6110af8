"""Names where several registries meet: never two meanings for one name."""

import pytest

from ci.errors import EntryError
from hooks.forge_choice import RegistryPair
from hooks.registries import Registries, full_name, scope_of

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
