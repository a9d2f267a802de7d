# SPDX-License-Identifier: Apache-2.0
# Apache Spark itself, unmodified, in local mode: a data set of several files, read cold and warm through headpond, by WASB
# and account key, by ABFS and account key, and by ABFS and OAuth over TLS. Every row is in what it has to find.
# contrib/clients runs this; it needs a JDK and the jars.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Compress::Zlib ();
use Digest::SHA qw(sha256_hex);
use Headpond;
use Headpond::Authority;
use Headpond::Azurite;
use Headpond::Java;
use Test::More;

my $KEY = $Headpond::Azurite::key;
push @Headpond::Origin::secrets, $KEY;
my $ROWS = 200_000;
my $FILES = 4; # of about 3.5 MiB each
my $dir = Headpond->folder;

open my $key_file, '>', "$dir/key" or die;
print $key_file "$KEY\n";
close $key_file;

# The right answer, without Spark.
my $crcs = 0;
$crcs += Compress::Zlib::crc32(sha256_hex($_)) for 0 .. $ROWS - 1;
my $ANSWER = sprintf 'rows=%d ids=%d crcs=%d files=%d', $ROWS, $ROWS * ($ROWS - 1) / 2, $crcs, $FILES;

# Runs Spark; what a read found.
sub spark {
    my ($what, @arguments) = @_;
    my ($host) = map { m{\@([^/:]+)} ? $1 : () } @arguments;
    my ($status, $out, $errors) = Headpond::Java::run('SparkQuery', $host // 'no.host', @arguments);
    is($status, 0, "$what: Spark came to its end") or diag("$out$errors");
    return $out =~ /^(rows=.*)$/m ? $1 : '';
}

# Reads through headpond, cold and then warm. reads: how often the origin was asked for the set's files, and how often that
# brought data; what a folder is, and holds, it is asked each time.
sub reads_twice {
    my ($pond, $reads, @arguments) = @_;
    for my $when (qw(cold warm)) {
        my @before = $reads->();
        my $hits = $pond->metric('headpond_requests_total', method => 'GET', cache => 'hit');
        is(spark($when, 'read', @arguments), $ANSWER, 'the right answer');
        $pond->settle;
        my @after = $reads->();
        my ($all, $data) = map { $after[$_] - $before[$_] } 0, 1;
        $hits = $pond->metric('headpond_requests_total', method => 'GET', cache => 'hit') - $hits;
        note("$when: reads of files at the origin: $all, with data: $data; hits: $hits");
        if ($when eq 'cold') {
            cmp_ok($data, '>=', $FILES, 'the files came from the origin');
        } else {
            is($all, 0, 'it was not asked for any file');
            cmp_ok($hits, '>=', $FILES, 'they came from here');
        }
    }
}

subtest 'WASB, Parquet' => sub {
    my $azurite = Headpond::Azurite->start;
    my $name = $Headpond::Azurite::account;
    my $pond = Headpond->start(config => { accounts => [{ name => $name, origin => "http://$azurite->{address}/$name",
        key_file => "$dir/key", authorize => 'key', freshness => '3600s' }] });
    my ($port) = $pond->{http} =~ /:(\d+)$/;
    my $account = "$name.blob.localhost:$port";
    my @config = ("fs.azure.account.key.$account=$KEY");
    spark('write', 'write', $ROWS, 'parquet', "wasb://cont\@$account/set", @config);
    reads_twice($pond, sub { $azurite->reads(qr{/part-}) }, 'parquet', "wasb://cont\@$account/set", @config);
    $pond->stop;
    $azurite->stop;
};

# A data set as Data Lake has it: Spark's files, put at the origin, in a folder of theirs.
sub put_set {
    my ($origin, $format) = @_;
    spark("$format, local", 'write', $ROWS, $format, "file://$dir/$format");
    my %whose = ('header-x-ms-owner' => 'alice', 'header-x-ms-group' => 'staff', 'header-x-ms-permissions' => 'rw-r-----');
    $origin->blob('/acct/fs/set', size => 0, %whose, 'header-x-ms-resource-type' => 'directory');
    my @files = map { s{.*/}{}r } glob "$dir/$format/part-*";
    is(scalar @files, $FILES, 'as many files');
    for (@files) {
        my $reply = Headpond::Http::request(url => "http://$origin->{address}/acct/fs/set/$_", method => 'PUT',
            body => Headpond::Process::slurp("$dir/$format/$_"),
            headers => ['Authorization: SharedKey acct:any', 'x-ms-blob-type: BlockBlob', 'x-ms-version: 2021-08-06']);
        is($reply->{status}, 201, $_);
        $origin->headers("/acct/fs/set/$_", %whose, 'header-x-ms-resource-type' => 'file');
    }
}

sub origin_reads {
    my ($origin) = @_;
    my @reads = grep { $_->{method} =~ /^(?:GET|HEAD)$/ && $_->{target} =~ m{/part-} } @{ $origin->log };
    return (scalar @reads, scalar grep { $_->{method} eq 'GET' && $_->{body_bytes} > 1 } @reads);
}

subtest 'ABFS, CSV' => sub {
    my $origin = Headpond::Origin->start;
    $origin->container('acct/fs', public => 1);
    put_set($origin, 'csv');
    my $pond = Headpond->start(origin => $origin, account => {
        key_file => "$dir/key", authorize => 'key', dfs_origin => "http://$origin->{address}/acct", freshness => '3600s' });
    my ($port) = $pond->{http} =~ /:(\d+)$/;
    my $account = "acct.dfs.localhost:$port";
    reads_twice($pond, sub { origin_reads($origin) }, 'csv', "abfs://fs\@$account/set", "fs.azure.account.key.$account=$KEY",
        'fs.azure.always.use.https=false', 'fs.azure.account.hns.enabled=true');
    $pond->stop;
    $origin->stop;
};

subtest 'ABFS by OAuth over TLS, Parquet' => sub {
    my $origin = Headpond::Origin->start(tls => 1);
    $origin->account('acct', challenge => 1);
    $origin->container('acct/fs');
    put_set($origin, 'parquet');
    my $authority = Headpond::Authority->start;
    $authority->gives($origin->bearer('/acct/fs'));
    my $url = "https://$origin->{tls_address}/acct";
    my $pond = Headpond->start(config => { accounts => [{ name => 'acct', origin => $url, dfs_origin => $url,
        origin_ca => $Headpond::tls{certificate}, freshness => '3600s', authorize_ttl => '3600s' }] });
    my ($port) = $pond->{https} =~ /:(\d+)$/;
    reads_twice($pond, sub { origin_reads($origin) }, 'parquet', "abfss://fs\@acct.dfs.localhost:$port/set",
        'fs.azure.account.hns.enabled=true', $authority->hadoop);
    cmp_ok($authority->given, '>=', 2, 'each by a token from the authority');
    $pond->stop;
    $authority->stop;
    $origin->stop;
};

done_testing();
