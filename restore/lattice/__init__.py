"""The lattice: everything that the channel would have turned into this input, token by token and gap by gap."""

from restore.lattice.forms import Form, FormFinder
from restore.lattice.gaps import GapGrammar, Insertion, Place, Position

__all__ = ["Form", "FormFinder", "GapGrammar", "Insertion", "Place", "Position"]
