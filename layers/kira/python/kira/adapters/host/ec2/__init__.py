"""An instance of an Auto Scaling group: given back when the group shrinks, or in two minutes when EC2 wants it."""

from kira.adapters.host.ec2.config import Ec2Config
from kira.adapters.host.ec2.host import Ec2Host

__all__ = ["Ec2Config", "Ec2Host"]
