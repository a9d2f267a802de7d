# SPDX-License-Identifier: Apache-2.0
# The ring, and a second program of it that was written from its description (src/pool/ring.h): both place everything alike,
# on pools of any size and weight, with names that are hard to sort.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $ROUNDS = 24;
my $KEYS = 30;

srand 70; # the same pools each time

# Lines that both read: a pool, then what it is asked about.
sub scene {
    my ($round) = @_;
    my @regions = map { "region-$_" } 1 .. 1 + int rand 4;
    my @weights = ([1], [1, 2], [1 .. 100], [0, 1, 65_535, 70_000])[$round % 4]->@*;
    my $lines = '';
    for my $region (@regions) {
        for (1 .. 1 + int rand(2 ** (1 + $round % 8))) {
            my $name = ('headpond-', 'a', 'é', 'node.', 'Z')[rand 5] . int rand 500; # some stand twice
            $lines .= "node $region $name $weights[rand @weights]\n";
        }
    }
    $lines .= sprintf "key %08x%08x %08x%08x %d\n", (map { int rand 2 ** 32 } 1 .. 4), int rand 1000 for 1 .. $KEYS;
    return $lines;
}

my $folder = Headpond::folder();
for my $round (1 .. $ROUNDS) {
    Headpond::Process::spew("$folder/scene", scene($round));
    my ($status, $ours, $errors) = Headpond::Process->run(command => ['sh', '-c', 'exec "$0" < "$1"', "$Headpond::build/t/pool/ring_tell", "$folder/scene"]);
    is($status, 0, "round $round: ours tells") or diag($errors);
    my ($other_status, $theirs, $other_errors) = Headpond::Process->run(command => ['sh', '-c', 'exec /usr/bin/python3 "$0" < "$1"', "$Headpond::source/t/pool/ring.py", "$folder/scene"]);
    is($other_status, 0, "round $round: the other tells") or diag($other_errors);
    is(scalar(() = $ours =~ /\n/g), $KEYS + 1, "round $round: of all it was asked");
    is($ours, $theirs, "round $round: both tell the same");
}

done_testing;
