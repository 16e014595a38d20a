"""What keeps a partner from being opened, each with what to do."""

from __future__ import annotations

from typing import ClassVar

from mrmarket.core.errors import MrMarketError


class PartnerSetupError(MrMarketError):
    """Something that a partner needs is not there."""

    code: ClassVar[str] = "partner_setup"

    def __init__(self, what: str, problem: str) -> None:
        self.what = what
        self.problem = problem
        super().__init__(f"{what}: {problem}")


class PartnersMissingError(PartnerSetupError):
    """The libraries for partners are not installed."""

    code = "partners_not_installed"

    def __init__(self) -> None:
        super().__init__("partners", "their libraries are not installed; run: pip install 'mrmarket[chains]'")


class PartnerOffError(PartnerSetupError):
    """The configuration names no such partner."""

    code = "partner_off"


class SecretMissingError(PartnerSetupError):
    """A key that the configuration names is not where it should be."""

    code = "partner_secret_missing"


class StrangeOfferError(PartnerSetupError):
    """A partner offers something that is no campaign as we know them."""

    code = "partner_offer_strange"

    def __init__(self, ref: str, kind: str, reason: str) -> None:
        self.ref = ref
        self.kind = kind
        """Stable code of what is strange about it."""
        super().__init__(f"campaign {ref}", f"{reason}; it is left alone")


class SandboxFolderError(PartnerSetupError):
    """The data folder lived in a sandbox world, and was to be started outside of it."""

    code = "sandbox_folder"

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder, "its money is in a sandbox world; add --world sandbox, or choose another --data"
        )


class OtherWorldError(PartnerSetupError):
    """The data folder lived outside of a sandbox world, and was to be started in one."""

    code = "not_a_sandbox_folder"

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder, "its money is at an exchange without a world; leave --world out, or choose another --data"
        )


class StrangeDestinationError(PartnerSetupError):
    """Mixin tells another deposit address than the one that was told before."""

    code = "partner_destination_changed"

    def __init__(self, place: str, known: str, told: str) -> None:
        self.known = known
        self.told = told
        super().__init__(
            place,
            f"Mixin now tells the address {told} and told {known} before; nothing is sent until the owner"
            " names the right one in vault.destinations",
        )
