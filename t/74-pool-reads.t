# SPDX-License-Identifier: Apache-2.0
# A pool in one region: each byte leaves the origin once, whoever reads it through whichever node; what one node knows
# the others learn from it, no fresher than it is; and what a certificate does not allow is not done (decision 9).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Pool;
use Headpond::PoolCa;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->account('acct', challenge => 1);
$origin->container('acct/data', public => 1);
$origin->container('acct/own');

# Name, size, seed: from empty ones to some of several extents.
my @sizes = (0, 1, 100_000, $MIB, 3 * $MIB + 7, 16 * $MIB, 16 * $MIB + 1, 40 * $MIB);
my @blobs = map { { name => "b$_", size => $sizes[$_ % @sizes], seed => 10 + $_ } } 0 .. 23;
my $bytes = 0;
for (@blobs) {
    $origin->blob("/acct/data/$_->{name}", size => $_->{size}, seed => $_->{seed});
    $bytes += $_->{size};
}
my $BLOBS = join ',', map { "$_->{name}:$_->{size}:$_->{seed}" } grep { $_->{size} } @blobs;

my $pool = Headpond::Pool->start(regions => { west => 5 }, origin => $origin, store_size => '1GiB',
    account => { freshness => '3600s', authorize_ttl => '3600s' });
my @nodes = $pool->nodes;

# What the blobs' bytes cost the origin since its statistics began.
sub body_bytes {
    my $sum = 0;
    $sum += $origin->path_stats("/acct/data/$_->{name}")->{body_bytes} for @blobs;
    return $sum;
}

sub read_all {
    my ($what) = @_;
    my $got = $pool->client('blocks', blobs => $BLOBS, once => [], shuffle => [], block => 4 * $MIB, concurrency => 100, timeout => 120);
    ok($got->{requests} && !$got->{mismatches} && !$got->{failures} && !$got->{errors}, "$what: every byte is right") or diag(explain($got));
    is(scalar(grep { $_->{requests} } @{ $got->{bases} }), 5, "$what: through each node");
}

subtest 'cold, then warm' => sub {
    read_all('cold');
    $pool->settle;
    my $cost = body_bytes();
    # Where a loop is slow to come round, an opening may be given up before its reader has got to it.
    my $more = Headpond::Process::slowness() > 1 ? 0.02 * $bytes : 0;
    # What was hedged counts apart.
    $more += $pool->metrics('headpond_hedged_bytes_total', to => 'origin');
    ok($cost >= $bytes && $cost <= $bytes + @blobs + $more, 'each byte left the origin once, besides one for a record') or diag("$cost of $bytes");
    $origin->reset_stats;
    read_all('warm');
    is($origin->stats->{requests}, 0, 'the origin was asked nothing') or diag(explain($origin->log));
    cmp_ok($pool->metrics('headpond_peer_bytes_total'), '>', $bytes / 2, 'nodes read from each other');
    is($pool->metrics('headpond_peer_requests_total', result => $_), 0, "none was $_") for qw(declined connect reset protocol);
};

subtest 'empty ones' => sub {
    for my $node (@nodes) {
        is($node->request('/acct/data/b0', method => $_)->{headers}{'content-length'}, 0, "$node->{name}: $_") for qw(GET HEAD);
    }
};

subtest 'a small read far into a cold blob' => sub {
    my $seed = 77;
    $origin->blob('/acct/data/far', size => 64 * $MIB, seed => $seed);
    $origin->reset_stats;
    my $first = 37 * $MIB + 5;
    for my $node (@nodes) {
        my $reply = $node->get('/acct/data/far', range => sprintf 'bytes=%d-%d', $first, $first + 99);
        is($reply->{status}, 206, "$node->{name}: status");
        is($reply->{body}, substr($origin->bytes('/acct/data/far'), $first, 100), "$node->{name}: bytes");
    }
    $pool->settle;
    # What the comparison reads is the origin's own, whole each time.
    my $own = 5 * 64 * $MIB;
    my $cost = $origin->path_stats('/acct/data/far')->{body_bytes} - $own;
    ok($cost == $MIB || $cost == $MIB + 1, 'one block came, and a byte for the record') or diag($cost);
};

subtest 'whom the origin lets in' => sub {
    $origin->blob('/acct/own/x', size => 20 * $MIB, seed => 5, 'meta-hint' => 'h1nt');
    my $sas = $origin->sas('/acct/own');
    my $whole = $origin->bytes('/acct/own/x', undef, $sas);
    $origin->reset_stats;
    ok($_->get('/acct/own/x', sas => $sas)->{body} eq $whole, "$_->{name}: with a SAS") for @nodes;
    is($origin->path_stats('/acct/own/x')->{body_bytes}, 20 * $MIB, 'once');
    for my $node (@nodes) {
        for ([{}, 401, 'NoAuthenticationInformation'], [{ sas => $origin->sas('/acct/own', unknown => 1) }, 403, 'AuthenticationFailed'],
            [{ sas => $origin->sas('/acct/own', sp => 'w') }, 403, 'AuthorizationPermissionMismatch']) {
            my ($how, $status, $code) = @$_;
            my $reply = $node->get('/acct/own/x', %$how);
            is($reply->{status}, $status, "$node->{name}: $status without one that reads");
            is($reply->{headers}{'x-ms-error-code'}, $code, 'by the origin\'s word');
            like($reply->{body}, qr/<Code>$code</, 'and its text');
            ok(!exists $reply->{headers}{'x-ms-meta-hint'} && !exists $reply->{headers}{'headpond-peer'}, 'nothing else is told');
        }
    }
};

# ---- At the address that is for nodes. ----


# A request with that certificate: status, body and how curl ended.
sub peer_request {
    my ($files, $path, @arguments) = @_;
    my @command = ('curl', '-sS', '--http2', '--max-time', 20, '--cert', $files->{certificate}, '--key', $files->{key}, '-k', '-o', '-', '-w', '\n%{http_code}',
        @arguments, 'https://' . $pool->peer_address('west-1') . $path);
    my ($status, $out, $text) = Headpond::Process->run(command => \@command);
    my ($body, $code) = $out =~ /^(.*)\n(\d+)\z/s;
    return ($code // 0, $body // '', $status, $text);
}

subtest 'what certificates say' => sub {
    my $ca = $pool->{ca};
    my $member = $ca->issue(region => 'west', node => 'west-9', as => 'a-member');
    my $client = $ca->issue(region => 'west', role => 'client', node => 'side-1', as => 'a-client');
    my $abroad = $ca->issue(region => 'east', node => 'east-1', as => 'abroad');
    my $other = $ca->issue(pool => 'other', region => 'west', node => 'west-2', as => 'another-pool');
    my $stranger = Headpond::PoolCa->new->issue(region => 'west', node => 'west-2');
    my @granted = ('-H', 'headpond-peer: 1; granted');
    my $path = '/acct/own/x';
    my @range = ('-r', '0-99');

    my ($code, $body) = peer_request($member, $path, @granted, @range);
    is($code, 206, 'a member vouches for somebody');
    is(length $body, 100, 'and gets the bytes');
    ($code, $body) = peer_request($client, $path, @granted, @range);
    is($code, 401, 'a client vouches for nobody');
    like($body, qr/NoAuthenticationInformation/, 'which the origin has the last word on');
    ($code, $body) = peer_request($client, '/acct/data/b3', @granted, @range);
    is($code, 206, 'what is anybody\'s it reads');
    ($code) = peer_request($client, "$path?" . $origin->sas('/acct/own'), '-H', 'headpond-peer: 1', @range);
    is($code, 206, 'and what the credential allows');

    # Whose own region has records and grants of its own.
    my $etag = $pool->node('west-1')->head($path, sas => $origin->sas('/acct/own'))->{headers}{etag};
    my @pin = ('-H', "If-Match: $etag");
    ($code, $body) = peer_request($abroad, $path, @granted, @pin, @range);
    is($code, 206, 'another region\'s member reads one generation');
    is(length $body, 100, 'and gets the bytes');
    my @more = ([@granted, @range], ['-H', 'headpond-peer: 1', @pin, @range], ['-H', 'headpond-peer: 1; granted; record', @pin],
        ['-H', 'headpond-peer: 1; granted; validate', @pin, @range], [@granted, '-I', @pin]);
    is((peer_request($abroad, $path, @$_))[0], 403, "and nothing else: @$_") for @more;
    $origin->reset_stats;
    is((peer_request($abroad, $path, @granted, '-H', 'If-Match: "0x1"', @range))[0], 504, 'nor what this region cannot have asked for it');
    $origin->blob('/acct/own/cold', size => 1000, seed => 9);
    is((peer_request($abroad, '/acct/own/cold', @granted, @pin, @range))[0], 504, 'or has not');
    is($origin->stats->{requests}, 0, 'for which nobody was asked');
    my $alien = $ca->issue(region => 'east', role => 'client', node => 'side-2', as => 'abroad-client');
    is((peer_request($alien, $path, @granted, @pin, @range))[0], 403, 'its clients read nothing here');

    my @cached = ('-H', 'headpond-peer: 1; granted; cached');
    is((peer_request($member, $path, @cached, @pin, @range))[0], 206, 'what is here is had without asking anybody');
    is((peer_request($member, '/acct/own/cold', @cached, @pin, @range))[0], 504, 'what is not is not');
    is($origin->stats->{requests}, 0, 'still nobody was asked');
    for (['another pool\'s', $other], ['one of a stranger\'s authority', $stranger]) {
        my ($who, $files) = @$_;
        ($code, undef, my $status) = peer_request($files, $path, @granted, @range);
        ok($code == 0 && $status != 0, "$who certificate opens nothing") or diag("$code $status");
    }
    # One that the authority should not have made: it can issue others.
    my $dir = $ca->{dir};
    my $issuer = { certificate => "$dir/issuer.crt", key => "$dir/issuer.key" };
    my $forged = { certificate => "$dir/forged.crt", key => "$dir/forged.key" };
    $ca->openssl('URI:none:', "-extensions ca -addext 'subjectAltName=URI:headpond://main/west/client/side-8' -CA $ca->{ca} -CAkey $dir/ca.key -subj /CN=side-8 -keyout $issuer->{key} -out $issuer->{certificate}");
    $ca->openssl('URI:headpond://main/west/member/west-2', "-extensions node -CA $issuer->{certificate} -CAkey $issuer->{key} -subj /CN=x -keyout $forged->{key} -out $dir/leaf.crt");
    Headpond::Process::spew($forged->{certificate}, join '', map { Headpond::Process::slurp($_) } "$dir/leaf.crt", $issuer->{certificate});
    is(system("openssl verify -purpose sslclient -CAfile $ca->{ca} -untrusted $issuer->{certificate} $dir/leaf.crt >$dir/log"), 0, 'a sidecar\'s that can issue others has issued a member\'s');
    ($code, undef, my $ended) = peer_request($forged, $path, @granted, @range);
    ok($code == 0 && $ended != 0, 'which opens nothing') or diag("$code $ended");

    is((peer_request($member, $path, @range))[0], 403, 'who does not speak as a node is shown the other door');
    for (qw(PUT DELETE POST)) {
        my ($got) = peer_request($member, '/acct/data/b3', @granted, '-X', $_);
        is($got, 403, "$_ is not for nodes");
    }
    is($pool->node('west-1')->get('/acct/data/b3')->{status}, 200, 'nothing was changed');
    is((peer_request($member, "$path", @granted, @range, '-H', 'CDN-Loop: a, west-1.west.main; x=1'))[0], 508, 'what has passed the node before comes to an end');
    is((peer_request($member, $path, '-H', "headpond-peer: $_"))[0], 403, "no version: $_") for 'granted', '0', '-1; granted', '';
    ($code, $body) = peer_request($member, $path, '-H', 'headpond-peer: 7; granted; record; tomorrow=1');
    is($code, 204, 'a later version is understood as far as it goes');
};

$pool->stop;
$origin->stop;
done_testing;
