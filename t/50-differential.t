# SPDX-License-Identifier: Apache-2.0
# The short form of contrib/differential: what a client is told directly and through headpond agrees, cold and warm, by the
# strict scripted origin and by the real Blob service. HEADPOND_SEED sets the seed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond::Azurite;
use Headpond::Differential;
use Test::More;

my $seed = $ENV{HEADPOND_SEED} // 1;
my %requests = (scripted => 1400, azurite => 800);

subtest 'the scripted origin' => sub {
    Headpond::Differential::run(origin => 'scripted', requests => $requests{scripted}, seed => $seed);
};

subtest 'Azurite' => sub {
    plan skip_all => 'the Blob service is not installed; contrib/check installs it' unless Headpond::Azurite::installed();
    Headpond::Differential::run(origin => 'azurite', requests => $requests{azurite}, seed => $seed);
};

done_testing();
