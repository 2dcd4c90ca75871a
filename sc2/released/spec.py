"""How the configuration names published weights that take the place of a training. No torch."""

from typing import Literal

from pydantic import Field

from sc2.strict import Name, Sha256, Strict


class ReleasedFile(Strict):
    """A published file."""

    file: str = Field(min_length=1, description="Name of the file, in the data folder (SC2_DATA, default data/)")
    sha256: Sha256 = Field(description="SHA-256 of the file")


class Released(ReleasedFile):
    """A file of published weights for one operating point."""

    source: Literal["sc2bench", "spic"] = Field(
        description="Whose layout it has: sc2bench, a checkpoint of the published SC2 code; spic, a bottleneck unit "
        "(docs/papers.md)"
    )
    seed: str = Field(default="0", pattern=r"^[0-9]+$", description="The seed whose training it takes the place of")
    frequencies: ReleasedFile | None = Field(
        default=None, description="The published table of how often each symbol occurs, for source: spic"
    )

    @property
    def files(self) -> tuple[ReleasedFile, ...]:
        """The weights, and the table if there is one."""
        return (self,) if self.frequencies is None else (self, self.frequencies)


class ReleasedRuns(Strict):
    """The published weights of a benchmark (`config/released/<benchmark>.yaml`)."""

    methods: dict[Name, dict[str, Released]] = Field(description="Method → operating point → the published weights")
