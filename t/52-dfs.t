# SPDX-License-Identifier: Apache-2.0
# The Data Lake endpoint: files are the blobs that are cached, told in Data Lake's way. Two origins, so that it shows
# which endpoint was asked: "blob" is the account's Blob endpoint, "lake" its Data Lake endpoint, both with the same files.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use JSON::PP ();
use MIME::Base64 ();
use Test::More;

my ($blob, $lake) = map { Headpond::Origin->start } 1, 2;
my %owner = map { ("header-x-ms-$_->[0]" => $_->[1]) } [owner => 'alice'], [group => 'staff'], [permissions => 'rw-r-----'], ['resource-type' => 'file'];
for ($blob, $lake) {
    $_->container('acct/fs', public => 1);
    $_->blob('/acct/fs/dir/file', size => 3_000_000, seed => 1, md5 => 'auto', type => 'text/x', 'meta-b' => 'two words', %owner);
    $_->blob('/acct/fs/dir', size => 0, seed => 2, 'meta-hdi_isfolder' => 'true');
    $_->blob('/acct/fs/flat', size => 1000, seed => 3);
}
my $pond = Headpond->start(origin => $blob, account => {
    origin => "http://$blob->{address}/acct", dfs_origin => "http://$lake->{address}/acct", freshness => '3600s' });

my @dfs = ('Host: acct.dfs.localhost');
sub lake_requests { return scalar @{ $lake->log } }
sub blob_requests { return scalar @{ $blob->log } }
sub fresh_counts { $_->reset_stats for $blob, $lake }

for my $proto (Headpond->protocols) {
    subtest "$proto: reads" => sub {
        my $known = $pond->get('/acct/fs/dir/file', proto => $proto);
        $pond->settle;
        fresh_counts();
        my $whole = $pond->get('/fs/dir/file', proto => $proto, headers => \@dfs);
        is($whole->{status}, 200, 'whole');
        ok($whole->{body} eq $known->{body}, 'the blob that is cached');
        is($whole->{headers}{'cache-status'}, 'headpond; hit', 'a hit');
        is($whole->{headers}{'content-md5'}, $known->{headers}{'content-md5'}, 'its MD5');
        my $etag = $whole->{headers}{etag};
        my $part = $pond->get('/fs/dir/file', proto => $proto, range => 'bytes=1000000-1000099', headers => [@dfs, "If-Match: $etag"]);
        is($part->{status}, 206, 'a pinned range, as ABFS reads');
        is($part->{headers}{'content-range'}, 'bytes 1000000-1000099/3000000', 'Content-Range');
        ok($part->{body} eq substr($known->{body}, 1_000_000, 100), 'its bytes');
        is($part->{headers}{'x-ms-content-md5'}, $known->{headers}{'content-md5'}, 'the file\'s MD5 under its own name');
        is($part->{headers}{'content-md5'}, undef, 'and not as the range\'s');
        is($part->{headers}{'x-ms-properties'}, 'b=' . MIME::Base64::encode_base64('two words', ''), 'metadata in one field');
        is($part->{headers}{"x-ms-$_"}, $owner{"header-x-ms-$_"}, $_) for qw(owner group permissions resource-type);
        is($part->{headers}{$_}, undef, "no $_") for qw(x-ms-meta-b x-ms-blob-type x-ms-blob-content-md5);
        is(blob_requests() + lake_requests(), 0, 'nobody was asked');
    };
}

subtest 'properties' => sub {
    $pond->head('/acct/fs/dir/file'); # brings what HEAD alone shows
    fresh_counts();
    my $status = $pond->head('/fs/dir/file?action=getStatus&upn=false&timeout=90', headers => \@dfs);
    is($status->{status}, 200, 'getStatus');
    is($status->{headers}{'content-length'}, 3_000_000, 'length');
    is($status->{headers}{'x-ms-owner'}, 'alice', 'owner');
    is($status->{headers}{'x-ms-properties'}, undef, 'of the system only');
    my $all = $pond->head('/fs/dir/file', headers => \@dfs);
    is($all->{headers}{'x-ms-properties'}, 'b=' . MIME::Base64::encode_base64('two words', ''), 'all of them');
    is(blob_requests() + lake_requests(), 0, 'nobody was asked');
    for ('/fs/dir/file?action=getAccessControl', '/fs/dir/file?action=getStatus&upn=true', '/fs/flat?action=getStatus') {
        fresh_counts();
        like($pond->head($_, headers => \@dfs)->{headers}{'cache-status'}, qr/fwd=bypass/, "$_ is not told from a record");
        cmp_ok(lake_requests(), '>=', 1, 'Data Lake is asked');
    }
};

subtest 'what is passed through' => sub {
    fresh_counts();
    for (['a directory', '/fs/dir', 200], ['what is not there', '/fs/nothing', 404]) {
        my ($what, $path, $status) = @$_;
        my $before = lake_requests();
        my $reply = $pond->get($path, headers => \@dfs);
        is($reply->{status}, $status, "$what: status");
        like($reply->{headers}{'cache-status'}, qr/fwd=bypass; detail="dfs-/, 'in Data Lake\'s own words');
        is(lake_requests(), $before + 1, 'which was asked');
    }
    for (['of all', 'recursive=true', 'dir dir/file flat'], ['of a folder', 'recursive=false&directory=dir', 'dir/file'],
         ['of the top', 'recursive=false', 'dir flat']) {
        my ($what, $query, $names) = @$_;
        my $list = $pond->get("/fs?resource=filesystem&$query", headers => \@dfs);
        like($list->{headers}{'cache-status'}, qr/fwd=bypass/, "a list $what");
        is($list->{status}, 200, 'is answered');
        is(join(' ', sort map { $_->{name} } @{ JSON::PP::decode_json($list->{body})->{paths} }), $names, 'by Data Lake');
    }
};

subtest 'errors of our own are JSON' => sub {
    my $range = $pond->get('/fs/dir/file', range => 'bytes=3000000-', headers => \@dfs);
    is($range->{status}, 416, 'past the end');
    is($range->{headers}{'content-type'}, 'application/json;charset=utf-8', 'JSON');
    like($range->{body}, qr/^\{"error":\{"code":"InvalidRange","message":"/, 'as Data Lake words it');
    my $stale = $pond->get('/fs/dir/file', headers => [@dfs, 'If-Match: "0x0"']);
    is($stale->{status}, 412, 'another generation');
    like($stale->{body}, qr/"code":"ConditionNotMet"/, 'JSON too');
};

subtest 'writes on the Data Lake endpoint are seen by both' => sub {
    my $sas = $lake->sas('/acct/fs', sp => 'rwd');
    $pond->get('/acct/fs/dir/file');
    $pond->settle;
    for (['a rename in the file system', 'PUT', '/fs/other', ['x-ms-rename-source: /fs/dir']],
         ['a recursive delete', 'DELETE', '/fs/dir?recursive=true', []],
         ['an append that is flushed', 'PATCH', '/fs/dir/file?action=flush&position=3000000', []]) {
        my ($what, $method, $path, $headers) = @$_;
        is($pond->get('/acct/fs/dir/file', range => 'bytes=0-9')->{headers}{'cache-status'}, 'headpond; hit', "before $what");
        $pond->request($path, method => $method, headers => [@dfs, @$headers], sas => $sas, body => '');
        fresh_counts();
        my $after = $pond->get('/fs/dir/file', range => 'bytes=0-9', headers => \@dfs);
        is($after->{status}, 206, "after $what");
        cmp_ok(blob_requests(), '>=', 1, 'the blob was asked for again');
    }
};

$pond->stop;
done_testing();
