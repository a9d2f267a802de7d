# SPDX-License-Identifier: Apache-2.0
# Which account a request is for: by path, by host, by name or by "*"; and that each goes to its own origin.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my ($one, $two) = map { Headpond::Origin->start } 1, 2;
for my $account (qw(acct named wild1 wild2)) {
    my $origin = $account eq 'named' ? $two : $one;
    $origin->container("$account/data", public => 1);
    $origin->blob("/$account/data/x", size => 1000 + length $account, seed => length $account, 'meta-who' => $account);
    $origin->blob("/$account/data/dir/with space", size => 10, seed => 1);
}

my $pond = Headpond->start(
    origin => $one,
    config => {
        accounts => [
            { name => 'acct', origin => "http://$one->{address}/acct", freshness => '3600s' },
            { name => 'named', origin => "http://$two->{address}/named", freshness => '3600s' },
            { name => '*', origin => "http://$one->{address}/{account}", freshness => '3600s' },
        ],
    },
);

for my $proto (Headpond->protocols) {
    subtest $proto => sub {
        for my $account (qw(acct named wild1 wild2)) {
            for my $try (1, 2) {
                my $path = $pond->get("/$account/data/x", proto => $proto);
                is($path->{headers}{'x-ms-meta-who'}, $account, "$account by path, try $try");
                my $host = $pond->get('/data/x', proto => $proto, headers => ["Host: $account.blob.localhost:10000"]);
                is($host->{headers}{'x-ms-meta-who'}, $account, "$account by host, try $try");
                ok($host->{body} eq $path->{body}, "$account: the same bytes");
            }
        }
    };
}

subtest 'both forms are one blob' => sub {
    $pond->settle;
    $one->reset_stats;
    $pond->get('/acct/data/x');
    $pond->get('/data/x', headers => ['Host: acct.whatever.example']);
    $pond->get('/data/x', headers => ['Host: ACCT.whatever.example']);
    is($one->stats->{requests}, 0, 'in cache by either');
};

subtest 'escapes are one blob too' => sub {
    $pond->get('/acct/data/dir/with%20space');
    $pond->settle;
    $one->reset_stats;
    is($pond->get("/acct/data/dir/with%20space")->{status}, 200, 'as it was written');
    is($pond->get("/acct/data/%64ir/with%20space")->{status}, 200, 'written otherwise');
    is($one->data_requests, 0, 'in cache by either');
};

subtest 'dots in a blob\'s name are its own' => sub {
    $one->blob('/acct/data/a/../b', size => 20, seed => 2);
    $one->blob('/acct/data/b', size => 30, seed => 2);
    is(length $pond->get('/acct/data/b')->{body}, 30, 'b');
    my $reply = $pond->get('/acct/data/a/../b');
    like($reply->{status}, qr/^(200|400|404)$/, 'a/../b is itself or nothing');
    isnt(length $reply->{body}, 30, 'and never b');
};

subtest 'names that are no account' => sub {
    for my $account ('ab', 'a' x 25, 'UPPER', 'under_score', 'dash-ed', '..', '%2e%2e', 'acct%2Fdata') {
        my $reply = $pond->get("/$account/data/x");
        like($reply->{status}, qr/^40[04]$/, "$account: refused") or diag($reply->{head});
        like($reply->{body}, qr{<Error><Code>}, "$account: XML");
    }
};

subtest 'an account that is not served' => sub {
    my $narrow = Headpond->start(origin => $one);
    my $reply = $narrow->get('/stranger/data/x');
    is($reply->{status}, 403, 'refused, and not as if the blob were missing');
    is($reply->{headers}{'x-ms-error-code'}, 'AuthorizationFailure', 'by this code');
    like($reply->{body}, qr{<Message>headpond's configuration has no row for this account: the first label}, 'the body says what is wrong');
    is($narrow->head('/stranger/data/x')->{status}, 403, 'HEAD');
    ok($narrow->wait_log(qr/ bad-request .* reason=AuthorizationFailure account=stranger: .*no row for this account/), 'the log too');
    my $dfs = $narrow->get('/data/x', headers => ['Host: acct.dfs.localhost']);
    is($dfs->{status}, 403, 'nor an endpoint that is not configured');
    like($dfs->{body}, qr/no dfs_origin for this account/, 'which is told apart');
    is($one->path_stats('/stranger/data/x')->{requests}, 0, 'the origin hears nothing of it');
    $narrow->stop;
};

subtest 'a secondary is apart' => sub {
    my $reply = $pond->get('/acct-secondary/data/x');
    unlike($reply->{headers}{'cache-status'} // '', qr/; hit/, 'not served from the primary\'s cache');
};

subtest 'versions and snapshots are blobs of their own' => sub {
    $one->reset_stats;
    $pond->get('/acct/data/x?versionid=2024-01-01T00%3A00%3A00.0000000Z');
    is(scalar @{ $one->log('/acct/data/x') }, 1, 'asked for');
};

$pond->stop;
done_testing();
