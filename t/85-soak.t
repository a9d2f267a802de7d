# SPDX-License-Identifier: Apache-2.0
# The short form of contrib/soak: a mixed load leaves memory and descriptors as they were.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond::Soak;
use Test::More;

Headpond::Soak::run(seconds => $ENV{HEADPOND_SOAK} // 18);
done_testing();
