"""What the CDK runs: `cdk synth`, `cdk deploy` and `cdk diff` from the root of the checkout."""

from kira_cdk import stacks

stacks.build(stacks.app()).synth()
