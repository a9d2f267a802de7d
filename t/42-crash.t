# SPDX-License-Identifier: Apache-2.0
# headpond killed a few times under load, restarted on the same store: no wrong byte, nothing invalidated comes back, what was
# committed is there. contrib/crash is the long form.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond::Crash;
use Test::More;

Headpond::Crash::run(kills => 5);
done_testing();
