"""What users rely on: `zoo check --rules` says what that is."""

from zoo.testing import contract

test_contract = contract("starry")
