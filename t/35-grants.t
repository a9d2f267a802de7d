# SPDX-License-Identifier: Apache-2.0
# No grant, no byte (I2): what is in cache is shown to those whom the origin has said yes to, for that scope and that
# operation, and to nobody else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $SIZE = 2_500_000;

my $origin = Headpond::Origin->start;
$origin->account('acct', challenge => 1);
$origin->container("acct/$_") for qw(data other);
$origin->container('acct/open', public => 1);
$origin->blob("/acct/data/$_", size => $SIZE, seed => 1, 'meta-hint' => 'h1nt') for qw(x y dir/z);
$origin->blob('/acct/other/x', size => $SIZE, seed => 2);
$origin->blob('/acct/open/x', size => $SIZE, seed => 3);
my $sas = $origin->sas('/acct/data');

my $pond = Headpond->start(origin => $origin, account => { authorize_ttl => '3600s', freshness => '3600s' });
for my $name (qw(x y dir/z)) {
    is($pond->request("/acct/data/$name", method => $_, sas => $sas)->{status}, 200, "$name is in cache: $_") for qw(GET HEAD);
}
$pond->get('/acct/open/x');
$pond->settle;

# The reply is the origin's own refusal and tells nothing of the blob.
sub refused {
    my ($what, $reply, $status, $code) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->{status}, $status, "$what: status");
    is($reply->{headers}{'x-ms-error-code'}, $code, "$what: the origin's code") if $code;
    cmp_ok(length $reply->{body}, '<', 1000, "$what: no data");
    my @told = grep { exists $reply->{headers}{$_} } qw(etag last-modified content-md5 x-ms-meta-hint x-ms-blob-type content-range
        x-ms-blob-content-md5 x-ms-creation-time);
    is("@told", '', "$what: no property");
    unlike($reply->{headers}{'cache-status'} // '', qr/; hit/, "$what: no hit");
}

for my $proto (Headpond->protocols) {
    subtest "$proto: without a grant" => sub {
        my @cases = (
            ['nobody', {}, 401, 'NoAuthenticationInformation'],
            ['a SAS for another container', { sas => $origin->sas('/acct/other') }, 403, 'AuthenticationFailed'],
            ['a SAS for another blob', { sas => $origin->sas('/acct/data/y') }, 403, 'AuthenticationFailed'],
            ['a made-up SAS', { sas => $origin->sas('/acct/data', unknown => 1) }, 403, 'AuthenticationFailed'],
            ['an expired SAS', { sas => $origin->sas('/acct/data', expires => -5) }, 403, 'AuthenticationFailed'],
            ['a SAS that may write only', { sas => $origin->sas('/acct/data', sp => 'w') }, 403, 'AuthorizationPermissionMismatch'],
            ['a made-up token', { headers => [$origin->bearer('/acct/data', unknown => 1)] }, 401, undef],
            ['a token for another container', { headers => [$origin->bearer('/acct/other')] }, 403, undef],
        );
        for (@cases) {
            my ($who, $r, $status, $code) = @$_;
            for my $shape ({}, { method => 'HEAD' }, { range => 'bytes=0-99' }, { headers => ['If-None-Match: *'] }) {
                my %r = (%$r, %$shape, headers => [@{ $r->{headers} // [] }, @{ $shape->{headers} // [] }]);
                my $label = join ' ', $who, $shape->{method} // (), $shape->{range} // (), @{ $shape->{headers} // [] };
                refused($label, $pond->request('/acct/data/x', proto => $proto, %r), $status, $code);
            }
        }
    };
}

subtest 'the challenge passes intact' => sub {
    my $reply = $pond->get('/acct/data/x');
    my $direct = Headpond::Http::request(url => "http://$origin->{address}/acct/data/x");
    is($reply->{headers}{'www-authenticate'}, $direct->{headers}{'www-authenticate'}, 'WWW-Authenticate');
    ok($reply->{headers}{'www-authenticate'}, 'there is one');
};

subtest 'a refusal is nobody else\'s' => sub {
    is($pond->get('/acct/data/x', sas => $sas)->{status}, 200, 'who has a grant reads on');
};

# A token's parameters without its signature are not nobody's request, though nobody has a signature either.
subtest 'nor is one of something that was no token' => sub {
    for my $query (qw(sv=2000-01-01 sp=w&se=2000-01-01 skoid=evil sr=evil)) {
        for my $method (qw(GET HEAD)) {
            my ($name) = lc("open-$method-$query") =~ /^([\w-]+)/;
            my $path = "/acct/$name/x";
            $origin->blob($path, size => 1000, seed => 4);
            $origin->container("acct/$name", public => 1);
            $origin->fault(path => $path, status => 403, first_byte_ms => 500);
            my $evil = $pond->begin("$path?$query", method => $method);
            ok(Headpond::Process::wait_until(sub { grep { $_->{path} eq $path && $_->{taken} } @{ $origin->faults } }, 10),
                "$query, $method: the origin is asked");
            is($pond->request($path, method => $method)->{status}, 200, 'another is not told what it says');
            is($evil->finish->{status}, 403, 'but who asked is');
        }
    }
};

subtest 'a second credential costs one question and no data' => sub {
    for my $again (['SAS for the container', { sas => $origin->sas('/acct/data') }],
        ['SAS for the blob', { sas => $origin->sas('/acct/data/x') }],
        ['token', { headers => [$origin->bearer('/acct/data')] }]) {
        my ($what, $r) = @$again;
        $origin->reset_stats;
        my $reply = $pond->get('/acct/data/x', %$r);
        is($reply->{status}, 200, "$what: yes");
        is(length $reply->{body}, $SIZE, "$what: all bytes");
        my $stats = $origin->path_stats('/acct/data/x');
        is($stats->{requests}, 1, "$what: one question");
        cmp_ok($stats->{body_bytes}, '<=', 1, "$what: no data");
        $pond->get('/acct/data/x', %$r) for 1 .. 3;
        is($origin->path_stats('/acct/data/x')->{requests}, 1, "$what: and no other");
    }
};

subtest 'scope' => sub {
    my $container = $origin->sas('/acct/data');
    $pond->get('/acct/data/x', sas => $container);
    $origin->reset_stats;
    is($pond->get('/acct/data/y', sas => $container)->{status}, 200, 'a container SAS reads another blob');
    is($origin->stats->{requests}, 0, 'without a question');
    my $token = $origin->bearer('/acct/data');
    $pond->get('/acct/data/x', headers => [$token]);
    $origin->reset_stats;
    is($pond->get('/acct/data/y', headers => [$token])->{status}, 200, 'a token reads another blob');
    is($origin->path_stats('/acct/data/y')->{requests}, 1, 'after a question: rules may divide the container');
    my $blob = $origin->sas('/acct/data/x');
    $pond->get('/acct/data/x', sas => $blob);
    refused('a blob SAS on another blob', $pond->get('/acct/data/y', sas => $blob), 403, 'AuthenticationFailed');
};

subtest 'a token for one blob cannot be made to look like one for the account' => sub {
    my $own = $origin->sas('/acct/data/y');
    for my $more ('ss=b&srt=o', 'srt=sco&ss=bfqt') {
        is($pond->get('/acct/data/y', sas => "$own&$more")->{status}, 200, "$more: the origin goes by sr");
        refused("$more: another blob", $pond->get('/acct/data/x', sas => "$own&$more"), 403, 'AuthenticationFailed');
        refused("$more: another container", $pond->get('/acct/other/x', sas => "$own&$more"), 403, 'AuthenticationFailed');
    }
};

# Before 2018-11-09 sr was not signed, and before 2020-02-10 there were no directories: an origin may take one for a blob.
subtest 'an old token for a blob cannot be made to look like one for a directory' => sub {
    for my $more ('sr=d&sdd=1', 'sr=d&sdd=0') {
        my $own = $origin->sas('/acct/data/dir/own') =~ s/sv=[^&]+&sr=b/sv=2015-04-05&$more/r;
        $origin->blob('/acct/data/dir/own', size => 10, seed => 1);
        is($pond->get('/acct/data/dir/own', sas => $own)->{status}, 200, "$more: the origin says yes to its blob");
        refused("$more: another of the directory", $pond->get('/acct/data/dir/z', sas => $own), 403, 'AuthenticationFailed');
        refused("$more: another of the container", $pond->get('/acct/data/x', sas => $own), 403, 'AuthenticationFailed');
    }
};

# An origin may let anybody read an open container, whatever token comes along: the emulator does.
subtest 'a token that is good for one container need not be for another' => sub {
    $origin->control(PUT => 'grant', sig => 'made+up', scope => '/acct/open');
    my $made = 'sv=2022-11-02&ss=b&srt=sco&sp=r&se=2098-01-01T00%3A00%3A00Z&sig=made%2Bup';
    for my $method (qw(GET HEAD)) {
        is($pond->request('/acct/open/x', method => $method, sas => $made)->{status}, 200, "$method: the origin says yes there");
        refused("$method elsewhere", $pond->request('/acct/data/x', method => $method, sas => $made), 403, 'AuthenticationFailed');
    }
    $origin->reset_stats;
    is($pond->get('/acct/open/x', sas => $made)->{status}, 200, 'where it is good it reads on');
    is($origin->stats->{requests}, 0, 'without a question');
};

subtest 'grant_scope: container' => sub {
    my $wide = Headpond->start(origin => $origin, account => { authorize_ttl => '3600s', grant_scope => 'container' });
    my $token = $origin->bearer('/acct/data');
    $wide->get("/acct/data/$_", sas => $sas) for qw(x y);
    $wide->settle;
    $wide->get('/acct/data/x', headers => [$token]);
    $origin->reset_stats;
    is($wide->get('/acct/data/y', headers => [$token])->{status}, 200, 'a token reads another blob');
    is($origin->stats->{requests}, 0, 'without a question');
    $wide->stop;
};

subtest 'public' => sub {
    is($pond->get('/acct/open/x')->{status}, 200, 'read by nobody in particular');
    is(length $pond->get('/acct/open/x')->{body}, $SIZE, 'whole');
    my $soon = Headpond->start(origin => $origin, account => { authorize_ttl => '1s' });
    $soon->get('/acct/open/x');
    $soon->settle;
    $origin->container('acct/open', public => 0);
    ok(Headpond::Process::wait_until(sub { $soon->get('/acct/open/x')->{status} == 401 }, 10), 'not for longer than the yes is trusted');
    refused('public no more', $soon->get('/acct/open/x'), 401);
    $origin->container('acct/open', public => 1);
    $soon->stop;
};

subtest 'a yes ends' => sub {
    my $short = Headpond->start(origin => $origin, account => { authorize_ttl => '1s', freshness => 'immutable' });
    my $revoked = $origin->sas('/acct/data');
    is($short->get('/acct/data/x', sas => $revoked)->{status}, 200, 'yes');
    $short->settle;
    $origin->revoke($revoked);
    ok(Headpond::Process::wait_until(sub { $short->get('/acct/data/x', sas => $revoked)->{status} == 403 }, 10), 'revoked: no, after authorize_ttl');
    refused('revoked', $short->get('/acct/data/x', sas => $revoked), 403, 'AuthenticationFailed');
    $short->stop;
};

subtest 'se ends a yes at once' => sub {
    my $ending = $origin->sas('/acct/data', expires => 3);
    is($pond->get('/acct/data/x', sas => $ending)->{status}, 200, 'before se');
    ok(Headpond::Process::wait_until(sub { $pond->get('/acct/data/x', sas => $ending)->{status} == 403 }, 10), 'after se, though authorize_ttl is an hour');
    refused('after se', $pond->get('/acct/data/x', sas => $ending), 403, 'AuthenticationFailed');
};

subtest 'what is no yes' => sub {
    for my $case ([500, qr/^5/], [503, qr/^5/], [409, qr/^409$/]) {
        my ($status, $expected) = @$case;
        my $new = $origin->sas('/acct/data');
        $origin->fault(path => '/acct/data/x', status => $status, times => 10);
        my $reply = $pond->get('/acct/data/x', sas => $new);
        like($reply->{status}, $expected, "$status: handed on");
        cmp_ok(length $reply->{body}, '<', 2000, "$status: no data");
        $origin->clear_faults;
        $origin->reset_stats;
        is($pond->get('/acct/data/x', sas => $new)->{status}, 200, "$status: asked again, and yes");
        cmp_ok($origin->path_stats('/acct/data/x')->{requests}, '>=', 1, "$status: it was no grant");
    }
};

subtest 'a fill goes on with another\'s credential' => sub {
    $origin->blob('/acct/data/long', size => 12 << 20, seed => 5);
    my ($first, $second) = map { $origin->sas('/acct/data') } 1, 2;
    $origin->fault(path => '/acct/data/long', rate => 4 << 20, times => 2);
    my $leaving = $pond->begin('/acct/data/long', sas => $first);
    Headpond::Process::wait_until(sub { $leaving->received > 0 });
    my $staying = $pond->start_client('one', sas => $second, blob => 'long:' . (12 << 20) . ':5');
    $leaving->cancel;
    my $got = $staying->finish;
    is($got->{bytes}, 12 << 20, 'who stays reads all of it') or diag(explain($got));
    $origin->clear_faults;
};

subtest 'the origin refuses our own credential: the log says why' => sub {
    my $dir = Headpond::folder();
    open my $file, '>', "$dir/other.sas" or die;
    print $file $origin->sas('/acct/other'), "\n";
    close $file;
    my @identity = (identity => "sas:$dir/other.sas");
    my $why = qr/status=403 code=AuthenticationFailed origin_request=[\w-]+: the origin refuses our own credential/;
    my $sidecar = Headpond->start(origin => $origin, account => { authorize => 'none', @identity });
    for my $case (['read' => '/acct/data/x'], ['list' => '/acct/data?restype=container&comp=list']) {
        my ($what, $path) = @$case;
        refused($what, $sidecar->request($path, headers => ["x-ms-client-request-id: $what"]), 403, 'AuthenticationFailed');
        ok($sidecar->wait_log(qr/ error credential-failed account=acct host=\S+ request=$what $why/), "$what: told");
    }
    $sidecar->stop;
    my $helped = Headpond->start(origin => $origin, account => { @identity, freshness => '3600s' });
    is($helped->request('/acct/data/x', sas => $sas, range => $_)->{status}, 206, "$_: the reader's own goes on")
        for 'bytes=0-9', 'bytes=2000000-2000009';
    ok($helped->wait_log(qr/ error credential-failed account=acct .* $why/), 'a fill: told');
    $helped->stop;
};

subtest 'a token service that fails is named' => sub {
    local $ENV{AZURE_POD_IDENTITY_AUTHORITY_HOST} = 'http://127.0.0.1:9';
    my $sidecar = Headpond->start(origin => $origin, account => { authorize => 'none', identity => 'managed' });
    ok($sidecar->wait_log(qr{ error credential-failed account=acct attempt=1 next_ms=\d+ there is none, .*: http://127\.0\.0\.1:9: \S}),
        'by its address');
    is($sidecar->get('/acct/data/x')->{status}, 503, 'and meanwhile nothing is served');
    $sidecar->stop;
};

subtest 'a Shared Key nobody here can judge: the log says what would' => sub {
    my $reply = $pond->get('/acct/data/x', headers => ['Authorization: SharedKey acct:' . 'A' x 43 . '=']);
    is($reply->{headers}{'cache-status'}, 'headpond; fwd=bypass; detail="shared-key"', 'not from the cache');
    ok($pond->wait_log(qr/ info bypass account=acct reason=shared-key: .* by authorize: key with a key_file$/m), 'told');
};

subtest 'the scheme of the token' => sub {
    my $https = $origin->sas('/acct/data', extra => '&spr=https');
    is($pond->get('/acct/data/x', sas => $https, proto => 'h1s')->{status}, 200, 'spr=https over TLS');
    refused('spr=https in the clear', $pond->get('/acct/data/x', sas => $https, proto => 'h1'), 403);
};

$pond->stop;
done_testing();
