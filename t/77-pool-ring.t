# SPDX-License-Identifier: Apache-2.0
# Who is in a pool, as its members tell it by HTTP, and sidecars that go by that: they know one member, and then all,
# whoever comes, is killed, or says something else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Pool;
use Headpond::PoolCa;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $RING = '/.headpond/ring';
my $KEPT = 30; # s, between two looks of a sidecar's that hears of nothing

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $blobs = 0;

# Blobs that nobody has read yet, so that the sidecar has to ask for them; each is read right.
sub read_new {
    my ($node, $count) = @_;
    my $good = 0;
    for (1 .. $count) {
        my $path = '/acct/data/b' . ++$blobs;
        $origin->blob($path, size => 2000, seed => $blobs);
        my $reply = $node->get($path);
        $good++ if $reply->{status} == 200 && $reply->{body} eq $origin->bytes($path);
    }
    return $good;
}

sub known { my ($node, $count) = @_; return $node->wait_metric(sub { $_[0] == $count }, 'headpond_pool_members', region => 'west') }
sub asked { my ($node, $result) = @_; return $node->metric('headpond_pool_rings_total', result => $result) }
sub rows { my ($pool, @names) = @_; return [map { "$_=" . $pool->peer_address($_) } @names] }

# Of so many members those that the node has asked for something.
sub askers { my ($node, $count) = @_; return grep { $node->metric('headpond_peer_requests_total', peer => "west/$_", result => 'ok') } map { "west-$_" } 1 .. $count }

# Has the node's configuration name these members.
sub configure {
    my ($node, $rows) = @_;
    $node->{config}{pool}{members} = $rows;
    $node->write_config;
}

# ---- The document. ----

my $pool = Headpond::Pool->start(regions => { west => 3 }, sidecars => { west => 1 }, sidecars_know => 1, origin => $origin);
my ($sidecar) = $pool->sidecars;
my %files = map { $_->{name} => $_->{files} } values %{ $pool->{places} };

# At the address for nodes of a member, or that one, with that certificate or none: status, head (by name), body, and how curl ended.
sub ask {
    my ($files, $where, @arguments) = @_;
    my $path = @arguments && $arguments[0] =~ m{^/} ? shift @arguments : $RING;
    my @certificate = $files ? ('--cert', $files->{certificate}, '--key', $files->{key}) : ();
    my ($status, $out) = Headpond::Process->run(command => ['curl', '-sS', '--http2', '--max-time', 20, '-k', @certificate, '-i', @arguments,
        'https://' . ($where =~ /:/ ? $where : $pool->peer_address($where)) . $path]);
    my ($head, $body) = split /\r\n\r\n/, $out, 2;
    my ($code) = ($head // '') =~ m{^HTTP/2 (\d+)};
    my %head = ($head // '') =~ /^([\w-]+): (.*?)\r?$/mg;
    return ($code // 0, \%head, $body // '', $status);
}

subtest 'what a member tells' => sub {
    my ($code, $head, $body) = ask($files{'west-1'}, 'west-1');
    is($code, 200, 'to a node');
    is($head->{'content-type'}, 'application/json', 'is JSON');
    is($head->{'cache-control'}, 'no-cache', 'that is to be asked for again');
    my $said = JSON::PP::decode_json($body);
    is("$said->{version} $said->{pool}", '1 main', 'the pool');
    is_deeply($said->{regions}, [{ name => 'west', members => [map { { name => "west-$_", weight => 1, addresses => [$pool->peer_address("west-$_")] } } 1 .. 3] }],
        'its members, the one that is asked among them');
    like($said->{digest}, qr/^[0-9a-f]{16}$/, 'what stands for all of them');
    my $etag = $head->{etag};
    like($etag, qr/^"[0-9a-f]{32}"$/, 'and a strong tag');

    for my $name (qw(west-2 west-3)) {
        my (undef, $other, $again) = ask($files{'west-1'}, $name);
        is($again, $body, "$name tells the same bytes");
        is($other->{etag}, $etag, 'under the same tag');
        is((ask($files{'west-1'}, $name, '-H', "If-None-Match: $etag"))[0], 304, 'which is enough');
    }
    for ($etag, "\"x\", $etag", "W/$etag") {
        my ($status, $other, $none) = ask($files{'west-1'}, 'west-1', '-H', "If-None-Match: $_");
        is("$status $none", '304 ', "If-None-Match: $_");
        is($other->{etag}, $etag, 'with the tag');
    }
    is((ask($files{'west-1'}, 'west-1', '-H', 'If-None-Match: "x"'))[0], 200, 'another tag is another matter');
    my ($status, $short, $none) = ask($files{'west-1'}, 'west-1', '-I');
    is("$status $none", '200 ', 'HEAD');
    is("$short->{etag} $short->{'content-length'}", "$etag " . length $body, 'tells of it');
};

subtest 'who is told' => sub {
    my $ca = $pool->{ca};
    my %may = (
        'a sidecar' => $files{'west-side-1'},
        'a member of another region' => $ca->issue(region => 'east', node => 'east-1'),
        'a sidecar of another region' => $ca->issue(region => 'east', role => 'client', node => 'east-side-1'));
    is((ask($may{$_}, 'west-1'))[0], 200, $_) for sort keys %may;
    my %not = (
        'who shows nothing' => undef,
        'another pool\'s member' => $ca->issue(pool => 'other', region => 'west', node => 'west-2', as => 'another-pool'),
        'one of a stranger\'s authority' => Headpond::PoolCa->new->issue(region => 'west', node => 'west-2'));
    for (sort keys %not) {
        my ($code, undef, $body, $status) = ask($not{$_}, 'west-1');
        ok($code == 0 && $status != 0 && $body eq '', "not $_") or diag("$code $status $body");
    }
    is((ask($files{'west-2'}, 'west-1', '-X', $_))[0], 403, "$_ is nothing to nodes") for qw(POST PUT DELETE);
    isnt((ask($files{'west-2'}, 'west-1', "$RING/x"))[0], 200, 'nothing is below it');
    my $reply = $pool->node('west-1')->get($RING);
    ok($reply->{status} >= 400 && $reply->{body} !~ /west-2/, 'nor do clients see it where they read') or diag(explain($reply));
};

subtest 'a member that has not found out yet' => sub {
    my $pool = Headpond::Pool->new(regions => { west => 1 }, origin => $origin);
    my $node = $pool->node('west-1');
    configure($node, ['dns:no-such-pool.invalid:8444']);
    $node->run;
    my $certificate = $pool->place('west-1')->{files};
    my ($code, $head, $body) = ask($certificate, $pool->peer_address('west-1'));
    is($code, 503, 'tells nobody that it is alone');
    is($head->{'retry-after'}, 1, 'but to come again');
    unlike($body, qr/west-1/, 'and nothing else');
    is(read_new($node, 2), 2, 'it reads all the same');
    $pool->stop;
};

# ---- A sidecar. ----

subtest 'a sidecar that was told of one member' => sub {
    my $said = JSON::PP::decode_json(Headpond::Process::slurp("$sidecar->{dir}/headpond.yaml"))->{pool};
    is_deeply($said->{members}, rows($pool, 'west-1'), 'its configuration names one');
    ok(known($sidecar, 3), 'and it knows all');
    is(asked($sidecar, 'taken'), 1, 'having asked once');
    is(read_new($sidecar, 30), 30, 'it reads');
    is(scalar(askers($sidecar, 3)), 1, 'what is short through one member,') or diag(explain([askers($sidecar, 3)]));
    my $long = '/acct/data/long';
    $origin->blob($long, size => 100 << 20, seed => 3);
    ok($sidecar->get($long)->{body} eq $origin->bytes($long), 'what is long');
    cmp_ok(scalar(askers($sidecar, 3)), '>', 1, 'from wherever it is at home');
    my $cost = $origin->path_stats($long)->{body_bytes} - (100 << 20); # the comparison's own
    ok($cost == 100 << 20 || $cost == (100 << 20) + 1, 'once') or diag($cost);
    is(asked($sidecar, $_), 0, "none was $_") for qw(failed refused);
};

subtest 'one that it asks is killed' => sub {
    my $before = asked($sidecar, 'taken') + asked($sidecar, 'unchanged');
    $pool->kill('west-1');
    is(read_new($sidecar, 20), 20, 'nobody\'s read fails');
    # Another ring, for something to be heard of.
    my $heavy = rows($pool, 'west-1', 'west-2', 'west-3');
    $_ .= ':3' for $heavy->[1];
    configure($pool->node('west-2'), $heavy);
    my $began = time;
    $pool->restart('west-2');
    my $more = Headpond::Process::wait_until(sub { read_new($sidecar, 1); asked($sidecar, 'taken') + asked($sidecar, 'unchanged') > $before }, 20);
    ok($more, 'it goes on with others');
    cmp_ok(time - $began, '<', $KEPT * Headpond::Process::slowness(), 'as soon as it hears of something');
    ok(known($sidecar, 3), 'who does not answer has not left');
    $pool->restart('west-1');
};
$pool->stop;

subtest 'a member joins' => sub {
    my $pool = Headpond::Pool->new(regions => { west => 3 }, sidecars => { west => 1 }, sidecars_know => 1, origin => $origin);
    my ($sidecar) = $pool->sidecars;
    configure($pool->node($_), rows($pool, 'west-1', 'west-2')) for qw(west-1 west-2);
    $_->run for map { $pool->node($_) } qw(west-1 west-2 west-side-1);
    ok(known($sidecar, 2), 'a sidecar knows two');
    is(read_new($sidecar, 5), 5, 'and reads from them');
    configure($pool->node($_), rows($pool, map { "west-$_" } 1 .. 3)) for qw(west-1 west-2);
    $pool->node('west-3')->run;
    $pool->restart($_) for qw(west-1 west-2);
    my $began = time;
    my $told = Headpond::Process::wait_until(sub { read_new($sidecar, 1); $sidecar->metric('headpond_pool_members', region => 'west') == 3 }, $KEPT);
    ok($told, 'a third one is known by a reply of one who knows it');
    cmp_ok(time - $began, '<', 10 * Headpond::Process::slowness(), sprintf 'within seconds: %.1f', time - $began);
    is(read_new($sidecar, 30), 30, 'it reads');
    my $long = '/acct/data/longer';
    $origin->blob($long, size => 100 << 20, seed => 4);
    ok($sidecar->get($long)->{body} eq $origin->bytes($long), 'and what is long');
    ok(scalar(grep { $_ eq 'west-3' } askers($sidecar, 3)), 'from that one, too');
    $pool->stop;
};

subtest 'another pool where its own should be' => sub {
    my ($ours, $theirs) = map { Headpond::PoolCa->new } 1, 2;
    system("cp $ours->{dir}/ca.* $theirs->{dir}/") == 0 or die; # one authority, folders apart
    my $other = Headpond::Pool->start(name => 'other', regions => { west => 1 }, ca => $theirs, origin => $origin);
    my $pool = Headpond::Pool->new(regions => { west => 1 }, sidecars => { west => 1 }, ca => $ours, origin => $origin);
    my ($sidecar) = $pool->sidecars;
    configure($sidecar, rows($other, 'west-1'));
    $sidecar->run;
    ok($sidecar->wait_metric(2, 'headpond_pool_rings_total', result => 'failed'), 'it is asked nothing, again and again');
    ok($sidecar->wait_log(qr/ peer-refused .*region=west node=west-1: its certificate is not this member's/), 'which the log says');
    is(asked($sidecar, $_), 0, "nothing is $_") for qw(taken unchanged);
    ok(known($sidecar, 1), 'who was configured is known still');
    is(read_new($sidecar, 5), 5, 'and its readers do not notice');
    $pool->node('west-1')->run; # where it is, the sidecar has not been told
    configure($sidecar, rows($pool, 'west-1'));
    $sidecar->stop;
    $sidecar->{stopped} = 0;
    $sidecar->run;
    ok($sidecar->wait_metric(1, 'headpond_pool_rings_total', result => 'taken'), 'its own pool it believes');
    $_->stop for $pool, $other;
};

$origin->stop;
done_testing;
