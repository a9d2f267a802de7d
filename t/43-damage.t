# SPDX-License-Identifier: Apache-2.0
# A disk that gives back what was not written, and files that are cut short: contrib/damage is its long form.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond::Damage;
use Test::More;

my $seen = Headpond::Damage::run(damages => 60, seed => 4);
note(join ', ', map { "$_ $seen->{$_}" } sort keys %$seen);
done_testing();
