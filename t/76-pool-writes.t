# SPDX-License-Identifier: Apache-2.0
# Writes in a pool: through whichever node one is made, the nodes where the blob's record is at home believe what they know
# no longer, at once, in every region, also after a crash; who cannot be reached learns of it later, and holds nobody up.
# And who may say that something has changed: members, and nobody else.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Pool;
use Headpond::PoolCa;
use Test::More;
use Time::HiRes qw(time);

my $FOR = 30; # s, tells.h's TELLS_FOR_MS
my $WAIT = 0.25; # likewise, TELLS_WAIT_MS
my $BRIEF = 2; # s, the freshness of a container
my @BLOCK_BLOB = ('x-ms-blob-type: BlockBlob');

my $origin = Headpond::Origin->start;
$origin->account('acct', challenge => 1);
$origin->container("acct/$_", public => 1) for qw(data fixed brief live open going);
$origin->container('acct/own');

sub start {
    my (%o) = @_;
    return Headpond::Pool->start(origin => $origin, store_size => '128MiB',
        account => { freshness => '3600s', authorize_ttl => '3600s', containers => [
            (map { { name => $_, freshness => 'immutable' } } qw(fixed going)),
            { name => 'brief', freshness => "${BRIEF}s" }, { name => 'live', freshness => '0s' }] }, %o);
}

# ---- Where a blob's record is at home. ----

# What a blob is called (hash.h: hash_name).
sub name_of {
    my ($path) = @_;
    my (undef, $account, $container, $blob) = split m{/}, $path, 4;
    return map { sprintf '%016x', $_ } unpack 'Q<2', sha256(map { pack('Q<', length), $_ } 'blob', $account, $container, $blob, '');
}

# The first members of a region in the order of the blob's record, three at the most.
sub order_of {
    my ($pool, $path, $region) = @_;
    my $folder = Headpond::folder();
    my $scene = join '', map { "node $region $_->{name} 1\n" } $pool->nodes($region);
    Headpond::Process::spew("$folder/scene", $scene . 'key ' . join(' ', name_of($path)) . " 0\n");
    my ($status, $out, $errors) = Headpond::Process->run(command => ['sh', '-c', 'exec "$0" < "$1"', "$Headpond::build/t/pool/ring_tell", "$folder/scene"]);
    my ($names) = $out =~ /\| $region (.+)$/m;
    return split / /, $names // die "no order: $out$errors";
}

# Its homes, two; then all others.
sub places {
    my ($pool, $path, $region) = @_;
    my @homes = (order_of($pool, $path, $region))[0, 1];
    my @others = grep { my $name = $_; !grep { $_ eq $name } @homes } map { $_->{name} } $pool->nodes($region);
    return map { $pool->node($_) } @homes, @others;
}

sub told { my ($node, @labels) = @_; return $node->metric('headpond_pool_told_total', @labels) }

sub blob { my ($path, $seed) = @_; $origin->blob($path, size => 3000, seed => $seed); return $origin->bytes($path) }

# Which of these texts a node serves.
sub serves {
    my ($node, $path, @texts) = @_;
    my $reply = $node->get($path);
    my ($found) = grep { $reply->{body} eq $texts[$_] } 0 .. $#texts;
    return $reply->{status} == 200 ? $found // 'something else' : $reply->{status};
}

sub written {
    my ($node, $path, $text, $what) = @_;
    my ($container) = $path =~ m{^(/\w+/\w+)};
    my $put = $node->put($path, sas => $origin->sas($container, sp => 'rw'), headers => \@BLOCK_BLOB, body => $text);
    is($put->{status}, 201, $what);
    return $put->{seconds};
}

# ---- One that has gone for good, to be looked at in the end. ----

my $lonely = start(regions => { west => 3 });
my ($gone, undef, $teller) = places($lonely, '/acct/fixed/lonely', 'west');
$lonely->kill($gone);
written($teller, '/acct/fixed/lonely', 'new', 'one is gone, and a blob of its is written');
my $began = time;

# ---- At once. ----

subtest 'through any node' => sub {
    my $pool = start(regions => { west => 5 }, sidecars => { west => 1 });
    for my $container (qw(data fixed)) {
        my $path = "/acct/$container/blob";
        my $old = blob($path, 1);
        my ($home, $second, $reader, $writer, $other) = places($pool, $path, 'west');
        is(serves($reader, $path, $old), 0, "$container: one has read it");
        my @before = map { told($_, changed => 'object') } $home, $second, $reader, $other;
        my $took = written($writer, $path, 'new', "$container: another has written it");
        cmp_ok($took, '<', 5 * Headpond::Process::slowness(), sprintf '%s: in %.0f ms', $container, 1000 * $took);
        is_deeply([map { told($_, changed => 'object') } $home, $second, $reader, $other], [$before[0] + 1, $before[1] + 1, @before[2, 3]],
            "$container: both homes have been told by then, and nobody else");
        is(serves($_, $path, $old, 'new'), 1, "$container: $_->{name} serves the new one") for $other, $home, $second, $writer;
        written($home, $path, 'newer', "$container: its home has written it");
        is(serves($_, $path, $old, 'new', 'newer'), 2, "$container: and the other home, $_->{name}, knows") for $second, $home;
        is($other->delete_blob($path, sas => $origin->sas("/acct/$container", sp => 'rwd'))->{status}, 202, "$container: deleted through a third");
        is(serves($_, $path, $old), 404, "$container: $_->{name} has it no more") for $home, $second, $other;
    }
    is($pool->metrics('headpond_pool_tells_total', result => $_), 0, "none was $_") for qw(failed dropped);

    # Refused by the origin: nothing has changed.
    my $path = '/acct/fixed/kept';
    my $old = blob($path, 2);
    my ($home, undef, $reader, $writer) = places($pool, $path, 'west');
    is(serves($reader, $path, $old), 0, 'another blob');
    my $before = $pool->metrics('headpond_pool_told_total');
    is($writer->put($path, headers => \@BLOCK_BLOB, body => 'x')->{status}, 401, 'which somebody may not write');
    is($pool->metrics('headpond_pool_told_total'), $before, 'nobody is told of that');

    # A node that is no member writes, and is believed nothing.
    my ($side) = $pool->sidecars;
    written($side, $path, 'new', 'it is written through a sidecar');
    is($pool->metrics('headpond_pool_told_total'), $before, 'nobody is told of that, either');
    is($pool->metrics('headpond_pool_tells_total', result => $_), 0, "none was $_") for qw(failed dropped);

    # Of what a whole container holds all members know.
    $origin->blob("/acct/going/$_", size => 100, seed => 5) for 1 .. 3;
    for my $node ($pool->nodes) { $node->get("/acct/going/$_") for 1 .. 3 }
    is($writer->delete_blob('/acct/going?restype=container', sas => $origin->sas('/acct/going', sp => 'rwd'))->{status}, 202, 'a container is deleted');
    for my $node ($pool->nodes) {
        is_deeply([map { $node->get("/acct/going/$_")->{status} } 1 .. 3], [401, 401, 401], "$node->{name}: all of it is gone at once");
    }

    # And of who may read.
    $origin->blob('/acct/open/x', size => 100, seed => 6);
    is($_->get('/acct/open/x')->{status}, 200, "$_->{name}: anybody reads an open container") for $pool->nodes;
    is($writer->put('/acct/open?restype=container&comp=acl', sas => $origin->sas('/acct/open', sp => 'rw'), body => '')->{status}, 200, 'which is closed through one node');
    is($_->get('/acct/open/x')->{status}, 401, "$_->{name}: and nobody does at once") for $pool->nodes;
    $pool->stop;
};

subtest 'within freshness' => sub {
    my $pool = start(regions => { west => 4 });
    for my $container (qw(live brief)) {
        my $path = "/acct/$container/blob";
        my $text = blob($path, 3);
        for my $writer ($pool->nodes) {
            $_->get($path) for $pool->nodes;
            written($writer, $path, "by $writer->{name}", "$container: through $writer->{name}");
            my $until = time + ($container eq 'live' ? 0 : $BRIEF + 1.5);
            for my $node ($pool->nodes) {
                my $found;
                do { $found = serves($node, $path, $text, "by $writer->{name}") } while ($found ne '1' && time < $until);
                is($found, 1, "$container: $node->{name} has it");
            }
            $text = "by $writer->{name}";
        }
    }
    $pool->stop;
};

# ---- Trouble. ----

subtest 'a home cut off' => sub {
    my $pool = start(regions => { west => 4 }, relays => 1);
    my $path = '/acct/fixed/cut';
    my $old = blob($path, 4);
    my ($home, $second, $reader, $writer) = places($pool, $path, 'west');
    is(serves($home, $path, $old), 0, 'the home has read it');
    $pool->cut($home);
    my @took = map { written($writer, $path, "new $_", "written, $_") } 1 .. 6;
    cmp_ok($_, '<', ($WAIT + 1) * Headpond::Process::slowness(), sprintf 'no write waits for it for long: %.2f s', $_) for @took;
    is(told($second, changed => 'object') > 0, 1, 'the second home knows');
    is(serves($reader, $path, $old, 'new 6'), 1, 'and who finds the home away reads the new one');
    is(told($home), 0, 'the home has heard nothing');
    is(serves($home, $path, $old, 'new 6'), 0, 'and serves what it has');
    sleep 2; # the first tries are over
    $pool->join($home);
    ok(Headpond::Process::wait_until(sub { told($home) > 0 }, $FOR), 'it is told when it can be reached again');
    is(serves($home, $path, $old, 'new 6'), 1, 'and serves the new one');
    cmp_ok(told($home), '<', 4, 'six writes were told as few');
    is($writer->metric('headpond_pool_tells_total', result => $_), 0, "none was $_") for qw(failed dropped);
    $pool->stop;
};

subtest 'two regions' => sub {
    my $pool = start(regions => { west => 3, east => 3 }, delay_ms => 40);
    my $path = '/acct/fixed/far';
    my $old = blob($path, 5);
    my ($home, $second, $writer) = places($pool, $path, 'west');
    my ($far, $far_second, $far_other) = places($pool, $path, 'east');
    is(serves($_, $path, $old), 0, "$_->{name} has read it") for $home, $far;
    written($writer, $path, 'new', 'written in the west');
    is(told($_, changed => 'object'), 1, "$_->{name} knows by then") for $home, $second;
    ok($_->wait_metric(1, 'headpond_pool_told_total', changed => 'object'), "$_->{name} learns of it") for $far, $far_second;
    is(serves($_, $path, $old, 'new'), 1, "$_->{name} serves the new one") for $far, $far_second, $far_other, $home;
    is(told($far_other), 0, 'nobody has told it on');
    written($far_other, $path, 'newer', 'written in the east');
    ok($_->wait_metric(2, 'headpond_pool_told_total', changed => 'object'), "$_->{name} learns of it") for $far, $far_second, $home, $second;
    is(serves($_, $path, $old, 'new', 'newer'), 2, "$_->{name} serves that") for $home, $second;

    is(serves($far, $path, $old, 'new', 'newer'), 2, "$far->{name} serves that, too");
    my $before = told($far);
    $pool->delay(100);
    written($writer, $path, 'last', 'who is about to end writes');
    $writer->stop;
    cmp_ok(told($far), '>', $before, 'those far away have been told before it has ended');
    is(serves($far, $path, $old, 'new', 'newer', 'last'), 3, 'and serve that');
    $pool->stop;
};

# ---- Who may say so, and what. ----

my $ca = Headpond::PoolCa->new;
my $pool = start(regions => { west => 1 }, ca => $ca);
my ($node) = $pool->nodes;
my $member = $ca->issue(region => 'west', node => 'west-9', as => 'a-member');
my $abroad = $ca->issue(region => 'east', node => 'east-1', as => 'abroad');

# Its status, or 0 where there was no answer.
sub post {
    my ($pool, $files, $path, $said, @arguments) = @_;
    my @command = ('curl', '-sS', '--http2', '--max-time', 20, '--cert', $files->{certificate}, '--key', $files->{key}, '-k', '-o', '/dev/null',
        '-w', '%{http_code}', '-X', 'POST', '-H', "headpond-peer: $said", @arguments, 'https://' . $pool->peer_address('west-1') . $path);
    my (undef, $out) = Headpond::Process->run(command => \@command);
    return $out + 0;
}

subtest 'who may not say so' => sub {
    my $path = '/acct/fixed/said';
    my $old = blob($path, 6);
    is(serves($node, $path, $old), 0, 'a blob is read');
    my $new = blob($path, 7);
    my $client = $ca->issue(region => 'west', role => 'client', node => 'side-1', as => 'a-client');
    my $other = $ca->issue(pool => 'other', region => 'west', node => 'west-2', as => 'another-pool');
    my $stranger = Headpond::PoolCa->new->issue(region => 'west', node => 'west-2');
    $origin->reset_stats;
    my $said = '1; changed=object';
    my $refused = $node->metric('headpond_refused_total', reason => 'AuthorizationFailure');
    is(post($pool, $client, $path, $said), 403, 'a client\'s certificate does not allow it');
    is($node->metric('headpond_refused_total', reason => 'AuthorizationFailure'), $refused + 1, 'which is counted');
    ok($node->wait_log(qr/bad-request .*reason=AuthorizationFailure account=: Only members/), 'and logged');
    is(post($pool, $_, $path, $said), 0, 'who is of no pool, or of another, is not answered') for $other, $stranger;
    my @odd = (
        ['without what has changed', $path, '1', 403], ['something unknown has', $path, '1; changed=everything', 403],
        ['nothing has', $path, '1; changed=', 403], ['no version', $path, 'changed=object', 403],
        ['with a body', $path, $said, 400, '-d', 'x'], ['an account that is not served', '/other/fixed/said', $said, 403],
        ['a container is no blob', '/acct/fixed/', $said, 400], ['an account is no container', '/acct/', '1; changed=container', 400],
        ['not a path', '/acct/fixed/%zz', $said, 400], ['what has been here before', $path, $said, 508, '-H', 'CDN-Loop: west-1.west.main'],
    );
    is(post($pool, $member, $_->[1], $_->[2], @$_[4 .. $#$_]), $_->[3], $_->[0]) for @odd;
    is(post($pool, $member, $path, $said, '-X', $_), 403, "by $_") for qw(PUT DELETE);
    post($pool, $member, $path, $said, '-X', 'GET');
    is(told($node), 0, 'none of that counts');
    is(serves($node, $path, $old, $new), 0, 'or has changed anything');
    is($origin->stats->{requests}, 0, 'the origin was asked nothing') or diag(explain($origin->log));
};

subtest 'what a member says' => sub {
    my $path = '/acct/fixed/said';
    my $seed = 10;
    my $before = $node->get($path)->{body};
    for (['object', $path, $member], ['object', $path, $abroad], ['container', '/acct/fixed/', $member], ['container', $path, $abroad],
        ['account', '/acct/', $member], ['account', $path, $abroad]) {
        my ($what, $told, $files) = @$_;
        my $now = blob($path, $seed++);
        is(serves($node, $path, $before, $now), 0, "$what, $told: nobody knows of it");
        $origin->reset_stats;
        is(post($pool, $files, $told, "1; changed=$what"), 204, "$what, $told: it is said");
        is($origin->stats->{requests}, 0, 'the origin is not asked at once');
        is(serves($node, $path, $before, $now), 1, 'but then');
        $before = $now;
    }
    is(post($pool, $member, $path, '9; tomorrow=1; changed=object; view=xyz'), 204, 'a later version is understood as far as it goes');
    is(post($pool, $member, '/acct/fixed/never%20seen?snapshot=2024-01-01T00:00:00.0000000Z', '1; changed=object'), 204, 'of what is not known nothing is to be forgotten');

    my $sas = $origin->sas('/acct/own');
    $origin->blob('/acct/own/x', size => 100, seed => 1);
    is($node->get('/acct/own/x', sas => $sas)->{status}, 200, 'somebody may read');
    $origin->revoke($sas);
    is($node->get('/acct/own/x', sas => $sas)->{status}, 200, 'and nobody knows that he may no more');
    is(post($pool, $abroad, '/acct/', '1; changed=grants'), 204, 'grants: it is said');
    is($node->get('/acct/own/x', sas => $sas)->{status}, 403, 'and known');
};

# As where it could not be told.
subtest 'a home that has not heard who may read no more' => sub {
    my $pool = start(regions => { west => 3 }, ca => $ca);
    my $sas = $origin->sas('/acct/own');
    my @paths = map { "/acct/own/shut-$_" } 1 .. 8;
    $origin->blob($_, size => 100, seed => 2) for @paths;
    for my $node ($pool->nodes) { is($node->get($_, sas => $sas)->{status}, 200, "$node->{name}: somebody may read $_") for @paths }
    $origin->revoke($sas);
    is(post($pool, $member, '/acct/', '1; changed=grants'), 204, 'one of them is told that this is over');
    my ($told) = $pool->nodes;
    is($told->get($_, sas => $sas)->{status}, 403, "which believes no other that it is not: $_") for @paths;
    $pool->stop;
};

# With no question who may read, which would bring the record, too; and each from the start: after a crash in the midst of
# wide writes nothing is believed for some time.
subtest 'a crash' => sub {
    my $path = '/acct/fixed/crash';
    my $seed = 30;
    for (['object', $path], ['container', '/acct/fixed/'], ['account', '/acct/']) {
        my ($what, $told) = @$_;
        my $pool = start(regions => { west => 1 }, ca => $ca, account => { freshness => 'immutable', authorize => 'none' });
        my ($node) = $pool->nodes;
        my $old = blob($path, $seed++);
        $node->read_until_kept($origin, sub { $node->get($path) });
        $pool->restart($node);
        $origin->reset_stats;
        is(serves($node, $path, $old), 0, "$what: a restart keeps what was read");
        is($origin->stats->{requests}, 0, "$what: and believes it") or diag(explain($origin->log));
        my $new = blob($path, $seed++);
        is(post($pool, $member, $told, "1; changed=$what"), 204, "$what: it is said that it has changed");
        $pool->kill($node);
        $pool->restart($node);
        is(serves($node, $path, $old, $new), 1, "$what: after SIGKILL it is not believed");
        $pool->stop;
    }
};

# What is told over and over costs validations, and a commit for many; reads go on.
subtest 'a flood' => sub {
    my $path = '/acct/fixed/flood';
    my $bytes = blob($path, 40);
    my $calm = '/acct/fixed/calm';
    my $kept = blob($calm, 41);
    is(serves($node, $_, $bytes, $kept), $_ eq $calm ? 1 : 0, "$_ is read") for $path, $calm;
    my $before = told($node);
    my $folder = Headpond::folder();
    my $flood = Headpond::Process->start(log => "$folder/log", out => "$folder/out", command => ['curl', '-sS', '--http2', '-Z', '--parallel-max', 200,
        '--max-time', 60, '--cert', $member->{certificate}, '--key', $member->{key}, '-k', '-o', '/dev/null', '-w', '%{http_code}\n', '-X', 'POST',
        '-H', 'headpond-peer: 1; changed=object', 'https://' . $pool->peer_address('west-1') . "$path?[1-4000]"]);
    ok($node->wait_metric($before + 100, 'headpond_pool_told_total'), 'a member tells without end');
    my @slow;
    my $reads = 0;
    while ($flood->alive && $reads < 100) {
        my $reply = $node->get($calm);
        $reads++;
        push @slow, $reply->{seconds} if $reply->{seconds} > 3 * Headpond::Process::slowness() || $reply->{body} ne $kept;
        is(serves($node, $path, $bytes), 0, 'what it tells of is read, too') if $reads % 10 == 1;
    }
    is("@slow", '', "reads of others go on, $reads of them");
    ok(defined $flood->wait_end(120), 'it comes to its end');
    # curl leaves some of so many unanswered, as it closes connections that are under way.
    my %answers;
    $answers{$_}++ for Headpond::Process::slurp("$folder/out") =~ /^(\d+)$/mg;
    my $odd = delete $answers{'000'} // 0;
    ok($answers{204} > 2000 && $answers{204} + ($answers{503} // 0) + $odd == 4000, 'it was answered') or diag(explain(\%answers));
};
$pool->stop;

subtest 'one that has gone for good' => sub {
    ok(Headpond::Process::wait_until(sub { $teller->metric('headpond_pool_tells_total', result => 'failed') >= 1 }, $FOR + 20), 'is not told for ever');
    ok($teller->wait_log(qr/peer-untold region=west node=$gone->{name} reason=\w+ writes=\d+: /), 'which the log tells');
    cmp_ok(time - $began, '>', $FOR - 5, 'but for as long as a restart takes');
    is(serves($teller, '/acct/fixed/lonely', 'new'), 0, 'reads go on');
    $lonely->stop;
};

$origin->stop;
done_testing;
