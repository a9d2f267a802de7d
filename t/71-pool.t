# SPDX-License-Identifier: Apache-2.0
# What tests of the pool stand on: a relay that is as far as it says and fails as it is told to; certificates that say
# who a node is; nodes that are read through, killed, cut off and started again.
use strict;
use warnings;
use Errno qw(ECONNREFUSED ETIMEDOUT);
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Pool;
use Headpond::PoolCa;
use Headpond::Relay;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $SMALL = 10;
my $DISTANCE = 40; # ms
my $SILENCE = 0.4; # s, without a byte

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/small', size => $SMALL, seed => 1);
$origin->blob('/acct/data/large', size => 24 * $MIB, seed => 2);
my $LARGE = 'large:' . 24 * $MIB . ':2';

# ---- The relay, with a client of its own on both sides of nothing else. ----

sub ask { my ($socket) = @_; syswrite $socket, "GET /acct/data/small HTTP/1.1\r\nHost: x\r\n\r\n" }

# The answer's text, and how the reading ended.
sub answer {
    my ($socket, $seconds) = @_;
    return Headpond::Http::read_all($socket, $seconds // 20, sub { $_[0] =~ /\r\n\r\n.{$SMALL}\z/s });
}

# How long the first request on a connection takes, with the connecting, and the quickest of some that follow; in ms.
sub times_through {
    my ($address) = @_;
    my (@first, @later);
    for (1 .. 3) {
        my $began = time;
        my $socket = Headpond::Http::connect_to($address);
        for my $turn (0 .. 4) {
            ask($socket);
            (undef, my $end) = answer($socket);
            return "it ended: $end" if $end ne 'whole';
            my $took = 1000 * (time - $began);
            $turn ? push @later, $took : push @first, $took;
            $began = time;
        }
    }
    return map { (sort { $a <=> $b } @$_)[0] } \@first, \@later;
}

# What becomes of a new connection: 'made', or the error's number.
sub connecting {
    my ($address) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $address, Timeout => $SILENCE);
    return $socket ? 'made' : $! + 0;
}

sub fetch { my ($address) = @_; return Headpond::Http::request(url => "http://$address/acct/data/small") }
sub reads_on {
    my ($address, $what) = @_;
    my $reply = fetch($address);
    ok($reply->{status} == 200 && length $reply->{body} == $SMALL, $what) or diag(explain($reply));
}

my $relay = Headpond::Relay->start(pairs => [map { ['127.0.0.1:0', $origin->{address}] } 0, 1], delay_ms => $DISTANCE);
my ($far, $near) = @{ $relay->{addresses} };
my $margin = 20 * Headpond::Process::slowness();

subtest 'the relay: distance' => sub {
    my $before = $relay->stats;
    is($before->{connections}, 0, 'nobody has connected yet');
    my ($first, $later) = times_through($far);
    ok($first >= 4 * $DISTANCE && $first < 4 * $DISTANCE + $margin, sprintf 'a connection costs a round trip, a request another: %.1f ms', $first);
    ok($later >= 2 * $DISTANCE && $later < 2 * $DISTANCE + $margin, sprintf 'a request costs one: %.1f ms', $later);
    $relay->delay(0, 1);
    ($first, $later) = times_through($near);
    ok($first < $margin && $later < $margin, sprintf 'the other pair is near now: %.1f and %.1f ms', $first, $later);

    my $client = Headpond::Http::start(url => "http://$far/acct/data/large", timeout => 60);
    my $reply = $client->finish;
    ok($reply->{body} eq $origin->bytes('/acct/data/large'), 'a large body comes whole over the distance');
    cmp_ok($reply->{seconds}, '<', 3 * Headpond::Process::slowness(), 'and at more than a window each round trip');
    my $stats = $relay->stats;
    cmp_ok($stats->{pairs}[0]{to_client}, '>', 24 * $MIB, 'its bytes are counted');
    cmp_ok($stats->{pairs}[1]{to_client}, '<', $MIB, 'with its own pair');
    is($stats->{connections}, 7, 'and the connections');
    is($stats->{pairs}[0]{delay_ms}, $DISTANCE, 'the distance is told');
    ok(Headpond::Process::wait_until(sub { $relay->stats->{open} == 0 }), 'none stays behind');
};

subtest 'the relay: a rate' => sub {
    $relay->rate(40 * $MIB, 1);
    my $reply = Headpond::Http::request(url => "http://$near/acct/data/large");
    ok($reply->{seconds} >= 0.55, sprintf '24 MiB at 40 MiB/s: %.2f s', $reply->{seconds});
    cmp_ok($reply->{seconds}, '<', 3 * Headpond::Process::slowness(), 'and no longer than that');
    $relay->rate(0, 1);
};

subtest 'the relay: a black hole' => sub {
    my ($kept, $other) = map { Headpond::Http::connect_to($_) } $far, $near;
    for ($kept, $other) { ask($_); answer($_) }
    my $reader = Headpond::Http::start(url => "http://$far/acct/data/large", rate => '20M', timeout => 60);
    ok(Headpond::Process::wait_until(sub { $reader->received > 0 }), 'somebody reads');
    $relay->cut(0);
    ask($_) for $kept, $other;
    my ($text, $end) = answer($kept, $SILENCE / Headpond::Process::slowness());
    is("$text$end", 'silent', 'a connection falls silent');
    is(connecting($far), ETIMEDOUT, 'a new one is not answered');
    is((answer($other))[1], 'whole', 'the other pair notices nothing');
    is($relay->stats->{pairs}[0]{state}, 'cut', 'the state is told');
    $relay->join;
    is((answer($kept))[1], 'whole', 'afterwards the connection goes on');
    ok($reader->finish->{body} eq $origin->bytes('/acct/data/large'), 'and so does the reader, byte by byte');
    reads_on($far, 'new ones are answered');
};

subtest 'the relay: resets' => sub {
    my ($kept, $other) = map { Headpond::Http::connect_to($_) } $far, $near;
    for ($kept, $other) { ask($_); answer($_) }
    $relay->cut(0);
    $relay->reset(0);
    is((answer($kept))[1], 'reset', 'a connection is reset');
    is(connecting($far), ECONNREFUSED, 'a new one is refused');
    ask($other);
    is((answer($other))[1], 'whole', 'the other pair notices nothing');
    $relay->join(0);
    reads_on($far, 'afterwards new ones are taken');
    $relay->cut;
    is(connecting($_), ETIMEDOUT, 'all can be cut at once') for $far, $near;
    $relay->join;
    reads_on($_, 'and joined') for $far, $near;
};

subtest 'the relay: what it does not know' => sub {
    for (['jump'], ['cut', 2], ['delay'], ['delay', -1], ['cut', 'x'], []) {
        ok(!eval { $relay->command(@$_); 1 }, "refused: @$_");
    }
    is($relay->stats->{pairs}[0]{state}, 'open', 'and does nothing');
    my $lonely = Headpond::Relay->start(pairs => [['127.0.0.1:0', Headpond::Pool::reserve_address()]], delay_ms => $DISTANCE);
    my (undef, $end) = Headpond::Http::read_all(Headpond::Http::connect_to($lonely->{addresses}[0]), 10);
    is($end, 'reset', 'where nobody listens it resets');
    is($_->stop, 0, 'it ends when it is told nothing more') for $lonely, $relay;
};

# ---- Certificates. ----

# The subject alternative name; whether these authorities vouch for it.
sub name_in { my ($files) = @_; return qx(openssl x509 -in $files->{certificate} -noout -ext subjectAltName) =~ /(URI:\S+)/ ? $1 : 'none' }
sub vouched { my ($authorities, $files) = @_; return system("openssl verify -CAfile $authorities $files->{certificate} >/dev/null 2>&1") == 0 }

subtest 'certificates' => sub {
    my ($ours, $theirs) = map { Headpond::PoolCa->new } 1, 2;
    my $member = $ours->issue(region => 'west', node => 'west-1');
    my $client = $theirs->issue(region => 'west', role => 'client', node => 'gpu_17.a');
    is(name_in($member), 'URI:headpond://main/west/member/west-1', 'a member is called that');
    is(name_in($client), 'URI:headpond://main/west/client/gpu_17.a', 'and a client that');
    ok(vouched($ours->{ca}, $member) && vouched($theirs->{ca}, $client), 'each is its authority\'s');
    ok(!vouched($theirs->{ca}, $member) && !vouched($ours->{ca}, $client), 'and not the other\'s');
    my $both = Headpond::PoolCa::bundle($ours, $theirs);
    ok(vouched($both, $member) && vouched($both, $client), 'both go where both are trusted');
};

# ---- Nodes. ----

my @blobs = map { { name => "b$_", size => 100_000 + $_ * 77_777, seed => 10 + $_ } } 1 .. 20;
$origin->blob("/acct/data/$_->{name}", size => $_->{size}, seed => $_->{seed}) for @blobs;
my $BLOBS = join ',', map { "$_->{name}:$_->{size}:$_->{seed}" } @blobs;

# All blobs are read once, by these clients, and each byte is right. The report.
sub reads {
    my ($pool, $what, %o) = @_;
    my $got = $pool->client('blocks', blobs => $BLOBS, once => [], shuffle => [], concurrency => 30, %o);
    ok(($got->{requests} // 0) > 0 && !$got->{mismatches} && !$got->{failures} && !$got->{errors}, "$what: every byte is right") or diag(explain($got));
    return $got;
}

subtest 'a region' => sub {
    my $pool = Headpond::Pool->start(regions => { west => 3 }, origin => $origin);
    is(join(' ', map { $_->{name} } $pool->nodes), 'west-1 west-2 west-3', 'they are called after it');
    for my $node ($pool->nodes) {
        my ($status, undef, $text) = Headpond::Process->run(command => ["$Headpond::build/headpond", '-t', '-c', "$node->{dir}/headpond.yaml"]);
        is($status, 0, "$node->{name}: its configuration passes -t") or diag($text);
    }
    for my $proto (Headpond->protocols) {
        my $got = reads($pool, "$proto, spread", proto => $proto);
        my $served = grep { $_->{requests} > 0 } @{ $got->{bases} };
        is($served, 3, "$proto: through each node");
    }
    is($pool->client('readers', blob => $LARGE, readers => 12)->{exit}, 0, 'readers of one blob, spread');
    reads($pool, "$_ alone", nodes => [$_]) for map { $_->{name} } $pool->nodes;
    my $sum = 0;
    $sum += $_->metric('headpond_requests_total', code => 206) for $pool->nodes;
    cmp_ok($sum, '>', 0, 'they count their requests');
    is($pool->metrics('headpond_requests_total', code => 206), $sum, 'and the pool is their sum');

    my $lost = $pool->node('west-2');
    my $address = $lost->{http};
    $pool->kill('west-2');
    is(scalar $pool->running, 2, 'one is killed');
    my $got = $pool->client('blocks', blobs => $BLOBS, once => [], concurrency => 30, tolerate_errors => []);
    cmp_ok($got->{bases}[1]{failed}, '>', 0, 'its clients find nobody');
    is($got->{bases}[$_]{failed}, 0, 'others notice nothing') for 0, 2;
    for my $proto (qw(h1 h2c)) {
        $got = reads($pool, "$proto, going elsewhere", proto => $proto, fail_over => []);
        ok($got->{moved} > 0 && $got->{bases}[1]{requests} == 0, "$proto: those of the one killed have gone elsewhere") or diag(explain($got));
    }
    $pool->restart('west-2');
    is($lost->{http}, $address, 'it is back where it was');
    is(reads($pool, 'afterwards')->{bases}[1]{failed}, 0, 'and is read through');
    $pool->restart('west-3');
    reads($pool, 'the third one restarted in order', nodes => ['west-3']);
    ok($pool->settle, 'all come to rest');
    $pool->stop;
};

# Of what a node is told of another one: the relay's pair.
sub pair { my ($pool, $from, $to) = @_; return $pool->{relay}->stats->{pairs}[$pool->place($from)->{routes}{$to}] }

subtest 'two regions' => sub {
    my $pool = Headpond::Pool->start(regions => { west => 2, east => 1 }, sidecars => { west => 1 }, origin => $origin,
        delay_ms => $DISTANCE, relays => 1);
    is(scalar $pool->nodes('west'), 2, 'two are in the west');
    my $said = JSON::PP::decode_json(Headpond::Process::slurp($pool->node('west-1')->{dir} . '/headpond.yaml'))->{pool};
    is_deeply($said->{members}, ['west-1=' . $pool->peer_address('west-1'), 'west-2=' . $pool->route('west-1', 'west-2')], 'one knows its neighbours');
    is_deeply($said->{regions}, [{ name => 'east', members => ['east-1=' . $pool->route('west-1', 'east-1')] }], 'and the other region');
    isnt($pool->route('west-1', 'east-1'), $pool->peer_address('east-1'), 'over a relay');
    is(pair($pool, 'west-1', 'east-1')->{delay_ms}, $DISTANCE, 'that is far');
    is(pair($pool, 'west-1', 'west-2')->{delay_ms}, 0, 'a neighbour is near');
    reads($pool, 'spread over both');
    reads($pool, 'by a sidecar', nodes => ['west-side-1']);

    $pool->cut('east-1');
    is(connecting($pool->route(@$_)), ETIMEDOUT, "cut off: @$_") for ['west-1', 'east-1'], ['east-1', 'west-2'], ['west-side-1', 'east-1'];
    is(pair($pool, 'west-1', 'west-2')->{state}, 'open', 'others are not');
    reads($pool, 'its clients and others\' while it is cut off');
    $pool->join('east-1');
    is(pair($pool, @$_)->{state}, 'open', "joined: @$_") for ['west-1', 'east-1'], ['east-1', 'west-2'];
    $pool->cut('west');
    is(pair($pool, 'east-1', 'west-1')->{state}, 'cut', 'a region is cut off as a whole');
    is(pair($pool, 'west-side-1', 'west-2')->{state}, 'open', 'and whole within');
    $pool->stop;
};

done_testing;
